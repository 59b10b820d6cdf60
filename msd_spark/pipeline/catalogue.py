"""Every stage in order: its script, and what it reads and writes in the warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msd_spark.core.data_folder import DataFolder

REPOSITORY = Path(__file__).resolve().parents[2]

Options = Mapping[str, Any]
"""A stage's options, as they are typed without their dashes, to their values."""

SPARK, PYTHON, HOROVOD = "spark-submit", "python", "horovodrun"

NO_LISTENS = "the folder of data has no tasteprofile/train_triplets.txt"
NOTHING_TO_READ = dict.fromkeys(("plays", "factors", "factor-neighbours"), NO_LISTENS)
"""Why a stage without a command is skipped."""

DEFAULT_OPTIONS: dict[str, Options] = {
    "factors": {"allow-too-few": True},
    "factor-neighbours": {"space": "factors"},
    "dataset": {"require": "genre"},
    "train": {"model": "cnn", "epochs": 20, "batch": 16},
}
"""What the pipeline types beside sources, warehouse and run, unless the settings say otherwise."""


REPEATED = ("source",)
"""Options that are typed once for each item of a list."""


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline.

    Attributes
    ----------
    name, launcher, script : str
    reads, writes : tuple of str
        Places in the warehouse, with ``{run}`` and ``{dataset}`` for their names.
    needs : tuple of str
        Tables without which it is skipped.
    of_run : bool
        Whether it takes ``--run``.
    assets : tuple of str
        Folders of the repository that it reads beside Python modules.
    """

    name: str
    launcher: str
    script: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    of_run: bool = False
    assets: tuple[str, ...] = ()


_SIDE = ("lyrics", "lyric_words", "labels", "tags", "tag_counts", "plays", "popularity", "factors")
_DATASET, _MODEL, _EMBEDDINGS = "dataset/{dataset}", "models/{run}", "embeddings/{run}"
_OF_RUN = (_MODEL, _EMBEDDINGS, "neighbours/{run}", "maps/{run}", "studies/{run}")

STAGES = (
    Stage("ingest", SPARK, "jobs/ingest.py", (), ("songs", "ledger")),
    Stage("lyrics", SPARK, "jobs/lyrics.py", (), ("lyrics", "lyric_words")),
    Stage("labels", SPARK, "jobs/labels.py", (), ("labels", "tags", "tag_counts")),
    Stage("plays", SPARK, "jobs/plays.py", ("songs",), ("plays", "popularity")),
    Stage("factors", SPARK, "jobs/factors.py", ("plays",), ("factors",)),
    Stage("dataset", SPARK, "jobs/dataset.py", ("songs", *_SIDE), (_DATASET,)),
    Stage("train", HOROVOD, "training/train.py", (_DATASET,), (_MODEL,), of_run=True),
    Stage("score", SPARK, "jobs/score.py", ("songs", *_SIDE, _MODEL), (_EMBEDDINGS,), of_run=True),
    Stage(
        "neighbours", SPARK, "jobs/neighbours.py", ("songs", *_SIDE, _EMBEDDINGS), ("neighbours/{run}",), of_run=True
    ),
    Stage(
        "factor-neighbours",
        SPARK,
        "jobs/neighbours.py",
        ("songs", *_SIDE),
        ("neighbours/factors",),
        needs=("factors",),
    ),
    Stage("maps", PYTHON, "jobs/maps.py", (_EMBEDDINGS,), ("maps/{run}",), of_run=True),
    Stage("listen", PYTHON, "training/listen.py", ("songs", _DATASET, _MODEL), ("studies/{run}",), of_run=True),
    Stage(
        "report",
        PYTHON,
        "jobs/report.py",
        ("songs", "rejected", *_SIDE, "neighbours/factors", _DATASET, *_OF_RUN),
        ("reports/{run}",),
        of_run=True,
        assets=("msd_spark/report",),
    ),
)
NAMES = tuple(stage.name for stage in STAGES)


@dataclass(frozen=True)
class PipelineSettings:
    """What runs on what.

    Attributes
    ----------
    data : DataFolder
    warehouse, run : str
    ranks : int
        Horovod ranks.
    options : mapping of str to mapping
        By stage: options beside those that the folder of data, the warehouse and the run give; they win over these.
    submit : tuple of str
        What ``spark-submit`` is given before the script.
    """

    data: DataFolder
    warehouse: str
    run: str = "demo"
    ranks: int = 2
    options: Mapping[str, Options] = field(default_factory=dict)
    submit: tuple[str, ...] = ()

    @property
    def dataset(self) -> str:
        """Name of the dataset that is made and trained on."""
        return str(self.options.get("dataset", {}).get("name", "genre"))

    def places(self, patterns: Sequence[str]) -> list[str]:
        """Return places of the warehouse with the names of this run and dataset."""
        return [place.format(run=self.run, dataset=self.dataset) for place in patterns]

    def options_of(self, stage: str) -> dict[str, Any]:
        """Return a stage's options: of the data, the pipeline's own, those of the settings; the last one wins."""
        given = dict(self.options.get(stage, {}))
        if stage == "train" and self.dataset != "genre":
            given = {"dataset": self.dataset} | given
        return _sources(self.data).get(stage, {}) | dict(DEFAULT_OPTIONS.get(stage, {})) | given


def _sources(data: DataFolder) -> dict[str, dict[str, Any]]:
    """Return the options by which stages are told where the data are."""
    given: dict[str, dict[str, Any]] = {
        "ingest": {"songs": data.songs},
        "lyrics": {"train": data.bags_train, "test": data.bags_test, "reverse-mapping": data.reverse_mapping},
        "labels": {**data.labels, "tags": data.tags},
        "plays": {"triplets": data.triplets, "mismatches": data.mismatches},
    }
    return {stage: {key: value for key, value in found.items() if value} for stage, found in given.items()}


def words_of(options: Options) -> Iterator[str]:
    """Give options as they are typed: a flag for true, nothing for false, several words for a list."""
    for name, value in options.items():
        if value is False:
            continue
        if name in REPEATED and isinstance(value, list | tuple):
            yield from (word for item in value for word in (f"--{name}", str(item)))
            continue
        yield f"--{name}"
        if isinstance(value, list | tuple):
            yield from map(str, value)
        elif value is not True:
            yield str(value)


def commands(settings: PipelineSettings) -> dict[str, list[str]]:
    """Return the command of each stage, in order; it is empty where the stage has nothing to read."""
    made: dict[str, list[str]] = {}
    for stage in STAGES:
        options = settings.options_of(stage.name)
        if stage.name in NOTHING_TO_READ and "triplets" not in settings.options_of("plays"):
            made[stage.name] = []
            continue
        launcher = [stage.launcher]
        if stage.launcher == HOROVOD:
            launcher += ["-np", str(settings.ranks)]
        elif stage.name == "labels" and "tags" not in options:
            launcher = [PYTHON]  # needs no Spark
        elif stage.launcher == SPARK:
            launcher += settings.submit
        run = ["--run", settings.run] if stage.of_run else []
        words = [*words_of(options), "--warehouse", settings.warehouse, *run]
        made[stage.name] = [*launcher, script_path(stage), *words, *(["--overwrite"] if stage.name == "train" else [])]
    return made


def script_path(stage: Stage) -> str:
    """Return how a stage's script is called from the folder we are in."""
    return stage.script if Path.cwd() == REPOSITORY else str(REPOSITORY / stage.script)
