"""Settings of plays."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.data_folder import DEFAULT_DATA
from msd_spark.core.options import Settings, keep_versions_option, option, warehouse_option


@dataclass(frozen=True)
class PlaysSettings(Settings):
    """Settings of plays; each field with a help text is an option of ``msd-spark plays``."""

    triplets: str | None = option(
        None, "train_triplets.txt or a CSV file; plain, .zip, .gz, .bz2 or .xz", metavar="FILE"
    )
    mismatches: str | None = option(None, "sid_mismatches.txt: tracks matched to a wrong song", metavar="FILE")
    keep_mismatches: bool = option(False, "keep the plays of songs whose tracks are all mismatched")
    tracks: str | None = option(
        None, "unique_tracks.txt, for the tracks of each song; the table songs/ if omitted", metavar="FILE"
    )
    data: str = option(
        DEFAULT_DATA,
        "data folder, as msd-spark fetch lays it out; used unless --triplets names a file",
        metavar="DIR",
    )
    warehouse: str = warehouse_option()
    range_bytes: int = 32 << 20
    """Bytes that each task reads."""
    keep_versions: int = keep_versions_option()
