"""Settings of the generator."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from msd_spark.core.data_folder import DEFAULT_DATA
from msd_spark.core.options import OptionError, Settings, between, option
from msd_spark.synthetic.signal import SignalParameters

PACKAGINGS = ("files", "tar", "tar.gz", "aggregate", "summary")
"""Song files, tar archives, files of many songs, and such files without arrays."""

MOST_SONGS = 10_000_000
"""Ten times the real catalogue; track ids stay unique far beyond it."""


@dataclass(frozen=True)
class SyntheticSettings(Settings):
    """Settings of the generator; fields with a help text are options.

    Catalogues of one seed are prefixes of each other: track ``i`` sounds the same, by the same artist, in a small
    catalogue and in a large one.
    """

    songs: int = option(2000, "tracks of the catalogue", metavar="N", check=between(1, MOST_SONGS))
    seed: int = option(7, "random seed; the same options and seed write the same bytes", check=between(0, 2**63 - 1))
    output: str = option(DEFAULT_DATA, "folder to write to; it must be new or empty", metavar="DIR")
    overwrite: bool = option(False, "replace a catalogue generated earlier in the output folder")
    packaging: tuple[str, ...] = option(
        ("files",),
        "how to pack the songs: one file each, tar archives, files of many songs, or such files without arrays",
        choices=PACKAGINGS,
    )
    songs_per_aggregate: int = option(
        1000, "songs per aggregate or summary file", metavar="N", check=between(1, MOST_SONGS)
    )
    lyrics_share: float = option(
        0.8,
        "approximate share of tracks with a bag of words; 0.24 in the real catalogue",
        metavar="SHARE",
        check=between(0, 1),
    )
    users: int | None = option(
        None, "listeners; twice the songs and at most 100,000 by default", metavar="N", check=between(1, MOST_SONGS)
    )
    broken: int = option(3, "damaged song files to add", metavar="N", check=between(0, 1000))
    workers: int | None = option(None, "processes; one per core by default", metavar="N", check=between(1, 1024))
    progress: bool = False  # on standard error
    signal: SignalParameters = field(default_factory=SignalParameters)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.packaging:
            raise OptionError(f"--packaging is empty; allowed: {', '.join(PACKAGINGS)}")

    @property
    def worker_count(self) -> int:
        """Number of processes."""
        return len(os.sched_getaffinity(0)) if self.workers is None else self.workers

    @property
    def user_count(self) -> int:
        """Number of listeners."""
        return min(2 * self.songs, 100_000) if self.users is None else self.users
