"""What can be asked of the generator, what it answers, and the error it refuses with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from msd_spark.synthetic.signal import SignalParameters

PACKAGINGS = ("files", "tar", "tar.gz", "aggregate", "summary")
"""Ways to pack songs: loose files, tar shards, many songs a file, and its tables alone."""

MOST_SONGS = 10_000_000
"""Ten times the real catalogue; track ids stay unique far beyond it."""


class SyntheticError(ValueError):
    """A catalogue that cannot be made as asked; the message starts with ``synthetic:``."""

    def __init__(self, message: str) -> None:
        super().__init__(f"synthetic: {message}")


@dataclass(frozen=True)
class SyntheticSettings:
    """What to generate.

    Attributes
    ----------
    songs : int
        Tracks of the catalogue, 1 to `MOST_SONGS`.
    seed : int
        Same settings and seed, same bytes. Catalogues of one seed are prefixes of each other:
        track ``i`` sounds the same, by the same artist, in a small one and in a large one.
    packaging : tuple of str
        One or more of `PACKAGINGS`.
    workers : int or None
        Processes; None for one a core. Does not change what is written.
    lyrics_share : float
        Share of the tracks with a bag of words, 0 to 1 (0.24 in the real catalogue).
    users : int or None
        Listeners; None for twice the songs, at most 100,000.
    broken : int
        Files named like songs that are none.
    songs_per_aggregate : int
        Songs an aggregate or summary file.
    overwrite : bool
        Replace what an earlier run left in the output folder.
    progress : bool
        Show a progress bar on stderr.
    signal : SignalParameters
        The planted signal.
    """

    songs: int = 2000
    seed: int = 7
    packaging: tuple[str, ...] = ("files",)
    workers: int | None = None
    lyrics_share: float = 0.8
    users: int | None = None
    broken: int = 3
    songs_per_aggregate: int = 1000
    overwrite: bool = False
    progress: bool = False
    signal: SignalParameters = field(default_factory=SignalParameters)

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises
        ------
        SyntheticError
            If a value is out of its range.
        """
        unknown = sorted(set(self.packaging) - set(PACKAGINGS))
        if not self.packaging or unknown:
            what = ", ".join(map(repr, unknown)) or "nothing"
            raise SyntheticError(f"packaging is {what}; choose from {', '.join(PACKAGINGS)}")
        for name, value, low, high in (
            ("songs", self.songs, 1, MOST_SONGS),
            ("seed", self.seed, 0, 2**63 - 1),
            ("workers", self.worker_count, 1, 1024),
            ("users", self.user_count, 1, MOST_SONGS),
            ("broken", self.broken, 0, 1000),
            ("songs-per-aggregate", self.songs_per_aggregate, 1, MOST_SONGS),
        ):
            if not low <= value <= high:
                raise SyntheticError(f"{name} is {value}; it must be between {low} and {high}")
        if not 0 <= self.lyrics_share <= 1:  # also refuses NaN
            raise SyntheticError(f"lyrics-share is {self.lyrics_share}; it must be between 0 and 1")

    @property
    def worker_count(self) -> int:
        """Processes that will be used."""
        return len(os.sched_getaffinity(0)) if self.workers is None else self.workers

    @property
    def user_count(self) -> int:
        """Listeners that will be made."""
        return min(2 * self.songs, 100_000) if self.users is None else self.users


@dataclass(frozen=True)
class Summary:
    """What a run wrote.

    Attributes
    ----------
    songs : int
        Tracks of the catalogue.
    bytes : int
        Size of everything written.
    counts : dict of str to int
        Lines, files or tracks of each kind: ``lyrics train``, ``labels cd1``, ``triplets``, ….
    seconds : float
        Wall-clock time.
    """

    songs: int
    bytes: int
    counts: dict[str, int]
    seconds: float

    @property
    def songs_per_second(self) -> float:
        """Songs a second, side files and start of the processes included."""
        return self.songs / max(self.seconds, 1e-9)

    def rows(self) -> list[tuple[str, str]]:
        """Lines of the closing table: what and how much."""
        return [
            ("songs", f"{self.songs:,}"),
            *((name, f"{count:,}") for name, count in sorted(self.counts.items())),
            ("bytes", f"{self.bytes:,}"),
            ("seconds", f"{self.seconds:.1f}"),
            ("songs/s", f"{self.songs_per_second:.0f}"),
        ]
