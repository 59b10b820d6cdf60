"""The verbs of ``msd-spark``, by stage. Modules are named as text and loaded only when a verb runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msd_spark.core.options import Settings


@dataclass(frozen=True)
class Verb:
    """One verb of the command.

    Attributes
    ----------
    name : str
    help : str
        One phrase for ``msd-spark --help``.
    settings, run : str
        ``module:name`` of the settings class and of the function that takes an instance of it.
    script : str or None
        The entry point for ``spark-submit`` or ``horovodrun``, relative to the repository.
    """

    name: str
    help: str
    settings: str
    run: str
    script: str | None = None

    def settings_class(self) -> type[Settings]:
        """Load the settings class."""
        return _load(self.settings)

    def function(self) -> Callable[[Any], None]:
        """Load the function that runs the verb."""
        return _load(self.run)


STAGES: dict[str, tuple[Verb, ...]] = {
    "data": (
        Verb(
            "fetch",
            "download the public files of the Million Song Dataset",
            "msd_spark.fetch.settings:FetchSettings",
            "msd_spark.fetch.job:run",
        ),
        Verb(
            "synthetic",
            "generate a catalogue in the formats of the Million Song Dataset",
            "msd_spark.synthetic.settings:SyntheticSettings",
            "msd_spark.synthetic.run:run",
        ),
    ),
    "tables": (
        Verb(
            "ingest",
            "parse song files into songs/, rejected/ and ledger/",
            "msd_spark.ingest.settings:IngestSettings",
            "msd_spark.ingest.job:run",
            "jobs/ingest.py",
        ),
        Verb(
            "lyrics",
            "read bags of words and word vectors into lyrics/",
            "msd_spark.lyrics.settings:LyricsSettings",
            "msd_spark.lyrics.job:run",
            "jobs/lyrics.py",
        ),
        Verb(
            "labels",
            "read genre labels and Last.fm tags into labels/ and tags/",
            "msd_spark.labels.settings:LabelsSettings",
            "msd_spark.labels.job:run",
            "jobs/labels.py",
        ),
        Verb(
            "plays",
            "read Taste Profile play counts into plays/ and popularity/",
            "msd_spark.plays.settings:PlaysSettings",
            "msd_spark.plays.job:run",
            "jobs/plays.py",
        ),
        Verb(
            "factors",
            "fit ALS factors to the play counts and recommend tracks",
            "msd_spark.factors.settings:FactorSettings",
            "msd_spark.factors.job:run",
            "jobs/factors.py",
        ),
        Verb(
            "dataset",
            "join all tables into train, validation and test examples",
            "msd_spark.dataset.settings:DatasetSettings",
            "msd_spark.dataset.job:run",
            "jobs/dataset.py",
        ),
    ),
    "models": (
        Verb(
            "train",
            "train a model on all Horovod ranks",
            "training.loop.options:TrainOptions",
            "training.train:run",
            "training/train.py",
        ),
        Verb(
            "evaluate",
            "evaluate a finished run on a split of a dataset",
            "training.evaluation.options:EvaluateOptions",
            "training.evaluate:run",
            "training/evaluate.py",
        ),
        Verb(
            "compare",
            "compare models and inputs over several seeds",
            "training.comparing.options:CompareOptions",
            "training.compare:run",
            "training/compare.py",
        ),
        Verb(
            "search",
            "search for hyperparameters",
            "training.searching.options:SearchOptions",
            "training.search:run",
            "training/search.py",
        ),
        Verb(
            "listen",
            "find the segments and inputs that a run responds to",
            "training.listening.options:ListenOptions",
            "training.listen:run",
            "training/listen.py",
        ),
    ),
    "catalogue": (
        Verb(
            "score",
            "embed every song and predict its genre",
            "msd_spark.scoring.settings:ScoreSettings",
            "msd_spark.similar.score:run",
            "jobs/score.py",
        ),
        Verb(
            "neighbours",
            "find the nearest songs of every song",
            "msd_spark.neighbours.settings:NeighbourSettings",
            "msd_spark.neighbours.job:run",
            "jobs/neighbours.py",
        ),
        Verb(
            "maps",
            "place every song on a two-dimensional map, and export it",
            "msd_spark.maps.settings:MapSettings",
            "msd_spark.maps.job:run",
            "jobs/maps.py",
        ),
        Verb(
            "report",
            "write the report of a run",
            "msd_spark.report.settings:ReportSettings",
            "msd_spark.report.job:run",
            "jobs/report.py",
        ),
        Verb(
            "similar",
            "list songs similar to a song, or make a playlist",
            "msd_spark.similar.settings:SimilarSettings",
            "msd_spark.similar.command:run",
        ),
        Verb(
            "lineage",
            "trace an embedding back to its song file, dataset and code",
            "msd_spark.scoring.settings:LineageSettings",
            "msd_spark.scoring.lineage:run",
        ),
    ),
    "everything": (
        Verb(
            "pipeline",
            "run all stages, skipping those that are up to date",
            "msd_spark.pipeline.settings:PipelineOptions",
            "msd_spark.pipeline.command:run",
        ),
        Verb(
            "doctor",
            "check the installed versions against the pins",
            "msd_spark.environment.doctor:DoctorSettings",
            "msd_spark.environment.doctor:run",
        ),
    ),
}
"""Verbs in the order of the data flow, under the heading shown by ``msd-spark --help``."""

VERBS: dict[str, Verb] = {verb.name: verb for verbs in STAGES.values() for verb in verbs}


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
