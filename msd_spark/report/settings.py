"""What is asked of a report, and names that its parts share."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.errors import UserError

STAGE = "report"
REPORTS = "reports"
"""Folder of the warehouse: ``reports/RUN/index.html`` and what it needs."""


@dataclass(frozen=True)
class ReportSettings:
    """Which run is shown, and how much of its catalogue.

    Attributes
    ----------
    warehouse, run : str
    heatmaps : int
        Songs whose chroma and timbre are shipped with the page, drawn at random, each genre in its share.
    show : tuple of str
        Track ids of songs that have heatmaps whatever is drawn.
    most_songs : int
        Songs on the map; of a larger catalogue a seeded sample.
    seed : int
        Of all samples.
    users : int
        Users whose recommendations are shown, drawn at random from those with factors.
    """

    warehouse: str
    run: str
    heatmaps: int = 400
    show: tuple[str, ...] = ()
    most_songs: int = 100_000
    seed: int = 0
    users: int = 50

    def __post_init__(self) -> None:
        """Refuse numbers that make no page."""
        if self.users < 0:
            raise UserError(f"--users is at least 0, not {self.users}")
        if self.heatmaps < 0 or self.most_songs < 1:
            raise UserError(
                f"--heatmaps is at least 0 and --most-songs at least 1, not {self.heatmaps} and {self.most_songs}",
            )
