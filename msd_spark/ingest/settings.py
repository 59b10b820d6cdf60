"""Settings of ingest, and the tables that its modules share."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.data_folder import DATA_HELP, DEFAULT_DATA
from msd_spark.core.options import (
    OptionError,
    Settings,
    above,
    at_least,
    keep_versions_option,
    option,
    warehouse_option,
)

VERB = "ingest"

SONGS, LEDGER = "songs", "ledger"

PENDING = "_ingest"
"""Table of the units that an unfinished ingest has read, in the form of ``ledger/``."""


@dataclass(frozen=True)
class IngestSettings(Settings):
    """Settings of ingest; each field with a help text is an option of ``msd-spark ingest``."""

    locations: tuple[str, ...] = option(
        (),
        "folders, song files, archives (tar, zip), aggregate files, files of metadata (SQLite, Parquet, CSV, summary) "
        "and globs of them; local, s3:// or hdfs://",
        name="songs",
        metavar="LOCATION",
    )
    data: str = option(DEFAULT_DATA, DATA_HELP, metavar="DIR")
    warehouse: str = warehouse_option()
    manifest: str | None = option(None, "text file with further locations, one per line", metavar="FILE")
    track_ids: str | None = option(
        None, "read only the tracks of this file (unique_tracks.txt) below --songs, without listing it", metavar="FILE"
    )
    summaries: str = option(
        "refuse",
        "summary files in folders, which have no segments: refuse them, or read their rows",
        choices=("refuse", "rows"),
    )
    inputs_per_unit: int = option(256, "loose song files per unit of work, approximately", check=at_least(1))
    limit: int | None = option(
        None, "read the first N songs; an archive that is reached is read whole", metavar="N", check=at_least(1)
    )
    replace: bool = option(False, "drop songs from locations that are not named this time")
    dry_run: bool = option(False, "print how many units, songs and bytes would be read; write nothing")
    commit_every: float = option(
        30.0,
        "seconds between commits of finished units, which an interrupted ingest does not read again",
        metavar="SECONDS",
        check=above(0),
    )
    songs_per_row_group: int = 128  # held in memory by a worker
    row_groups_per_file: int = 8
    keep_versions: int = keep_versions_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.track_ids is not None and (len(self.locations) > 1 or self.manifest):
            raise OptionError(f"--track-ids {self.track_ids} needs one --songs folder and no --manifest")
