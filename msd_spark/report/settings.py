"""Settings of the report."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import NAME, SEED, Settings, at_least, option, warehouse_option

STAGE = "report"
REPORTS = "reports"
"""Folder of the warehouse: ``reports/RUN/index.html`` and its files."""


@dataclass(frozen=True)
class ReportSettings(Settings):
    """Settings of the report; each field is an option of ``msd-spark report``."""

    warehouse: str = warehouse_option()
    run: str | None = option(
        None, "run in models/ that the report shows; by default the newest", metavar="NAME", check=NAME
    )
    heatmaps: int = option(
        400, "number of songs with chroma and timbre, sampled by genre", metavar="N", check=at_least(0)
    )
    show: tuple[str, ...] = option((), "further tracks that get chroma and timbre, by track id", metavar="TRACK_ID")
    most_songs: int = option(
        1_000_000, "songs on the map at most; a larger catalogue is sampled by genre", metavar="N", check=at_least(1)
    )
    users: int = option(50, "number of sampled users whose recommendations are shown", metavar="N", check=at_least(0))
    seed: int = option(0, "random seed of all samples", check=SEED)
    figures: bool = option(False, "also save every chart as SVG and PNG in figures/; needs Chromium or Chrome")
