"""The verbs of ``msd-spark``, by stage; their modules are loaded only when a verb runs."""

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


def _job(name: str, settings: str, help: str, package: str = "", run: str = "") -> Verb:
    """Return a verb with a script in ``jobs/`` and a package's modules ``settings`` and ``job``."""
    package = f"msd_spark.{package or name}"
    return Verb(name, help, f"{package}.settings:{settings}", run or f"{package}.job:run", f"jobs/{name}.py")


def _training(name: str, settings: str, help: str, package: str) -> Verb:
    """Return a verb with a script in ``training/`` and its options in a package of training."""
    options = f"training.{package}.options:{settings}"
    return Verb(name, help, options, f"training.{name}:run", f"training/{name}.py")


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
        _job("ingest", "IngestSettings", "parse song files into songs/, rejected/ and ledger/"),
        _job("lyrics", "LyricsSettings", "read bags of words and word vectors into lyrics/"),
        _job("labels", "LabelsSettings", "read genre labels and Last.fm tags into labels/ and tags/"),
        _job("plays", "PlaysSettings", "read Taste Profile play counts into plays/ and popularity/"),
        _job("factors", "FactorSettings", "fit ALS factors to the play counts and recommend tracks"),
        _job("dataset", "DatasetSettings", "join all tables into train, validation and test examples"),
    ),
    "models": (
        _training("train", "TrainOptions", "train a model on all Horovod ranks", "loop"),
        _training("evaluate", "EvaluateOptions", "evaluate a finished run on a split of a dataset", "evaluation"),
        _training("compare", "CompareOptions", "compare models and inputs over several seeds", "comparing"),
        _training("search", "SearchOptions", "search for hyperparameters", "searching"),
        _training("listen", "ListenOptions", "find the segments and inputs that a run responds to", "listening"),
    ),
    "catalogue": (
        _job(
            "score",
            "ScoreSettings",
            "embed every song and predict its genre",
            "scoring",
            run="msd_spark.similar.score:run",
        ),
        _job("neighbours", "NeighbourSettings", "find the nearest songs of every song"),
        _job("maps", "MapSettings", "place every song on a two-dimensional map, and export it"),
        _job("report", "ReportSettings", "write the report of a run"),
        Verb(
            "explore",
            "open the map of a run in Embedding Atlas",
            "msd_spark.maps.settings:ExploreSettings",
            "msd_spark.maps.explore:run",
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
            "aws",
            "run all stages on AWS; status, logs, cost",
            "msd_spark.aws.settings:AwsOptions",
            "msd_spark.aws.command:run",
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
