"""Settings of scoring and of lineage, and the names of the files in ``embeddings/RUN``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import (
    MOST_BATCH,
    NAME,
    REQUIRED,
    OptionError,
    Settings,
    at_least,
    between,
    keep_versions_option,
    option,
    warehouse_option,
)

STAGE = "score"
TABLE = "embeddings"

STATE_FILE = "_scored.json"
"""Side file of the table that records its inputs."""

RUN_HELP = "finished run (models/NAME); by default the one that finished last"


@dataclass(frozen=True)
class ScoreSettings(Settings):
    """Settings of scoring; each field is an option of ``msd-spark score``."""

    warehouse: str = warehouse_option()
    run: str | None = option(None, RUN_HELP, metavar="NAME", check=NAME)
    rescore: bool = option(False, "score all songs again, also those that the run has scored before")
    without_lyrics: bool = option(False, "score every song as one without lyrics")
    batch_size: int = option(128, "songs per call of the model", check=between(1, MOST_BATCH))
    threads: int | None = option(
        None, "TensorFlow threads per Python worker; by default the cores of a Spark task", check=between(1, 1024)
    )
    songs: tuple[str, ...] = option(
        (),
        "score these song files (.h5), print the predictions and write nothing to the warehouse",
        metavar="FILE",
    )
    nearest: int | None = option(
        None, "with --songs: number of nearest songs to print (default: 5)", metavar="K", check=at_least(0)
    )
    output: str | None = option(None, "with --songs: write the rows to a Parquet file", metavar="FILE")
    keep_versions: int = keep_versions_option()

    def __post_init__(self) -> None:
        """Check each option, and that those of loose song files come with ``--songs``."""
        super().__post_init__()
        for name in ("nearest", "output"):
            if getattr(self, name) is not None and not self.songs:
                raise OptionError(f"--{name} is {getattr(self, name)!r}; allowed: only with --songs")


@dataclass(frozen=True)
class LineageSettings(Settings):
    """Settings of lineage; each field is an option of ``msd-spark lineage``."""

    track_id: str = option(REQUIRED, "a track of embeddings/RUN", metavar="TRACK_ID", positional=True)
    warehouse: str = warehouse_option()
    run: str | None = option(None, RUN_HELP, metavar="NAME", check=NAME)
    json: bool = option(False, "print JSON")
