"""Settings of fetch."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.data_folder import DEFAULT_DATA
from msd_spark.core.options import Settings, option
from msd_spark.fetch.sources import GROUPS, SOURCES

ALL = "all"


@dataclass(frozen=True)
class FetchSettings(Settings):
    """Settings of fetch; each field is an option of ``msd-spark fetch``."""

    names: tuple[str, ...] = option(
        (),
        f"groups of files, or {ALL}; without a name, all files are listed with their addresses",
        choices=(*GROUPS, ALL),
        positional=True,
    )
    to: str = option(DEFAULT_DATA, "data folder, in which every stage finds the files", metavar="DIR")
    mirror: tuple[str, ...] = option(
        (), "address of a folder to try before the published addresses; repeatable", metavar="ADDRESS", repeat=True
    )
    check: bool = option(False, "read the files that are present and compare them with their checksums")
    accept: tuple[str, ...] = option(
        (),
        "accept a published file that differs from the first one fetched; repeatable",
        choices=tuple(source.name for source in SOURCES),
        repeat=True,
    )
