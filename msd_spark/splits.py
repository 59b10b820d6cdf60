"""Which split a track belongs to: a seeded hash of its artist group, and nothing else.

So a track's split does not depend on which other artists are in the catalogue, and no
artist is in two splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msd_spark.schema import SPLITS


@dataclass(frozen=True)
class SplitRule:
    """How tracks are parted.

    Attributes
    ----------
    shares : tuple of float
        Of train, validation and test; they add up to 1.
    seed : int
    by : str
        ``artist``, or ``track`` for comparison with work that leaks artists.
    """

    shares: tuple[float, ...] = (0.7, 0.1, 0.2)
    seed: int = 0
    by: str = "artist"

    def __post_init__(self) -> None:
        """Refuse shares that are not three parts of a whole."""
        if len(self.shares) != len(SPLITS) or min(self.shares) < 0 or not abs(sum(self.shares) - 1) <= 1e-9:
            raise ValueError(f"shares of {', '.join(SPLITS)} are three numbers that add up to 1, not {self.shares}")
        if self.by not in ("artist", "track"):
            raise ValueError(f"a split is by artist or by track, not by {self.by!r}")

    def split_of(self, group: str) -> str:
        """Return the split of an artist group (or of a track id, where the split is by track)."""
        digest = hashlib.blake2b(f"{self.seed}:{group}".encode(), digest_size=8).digest()
        place = int.from_bytes(digest, "big") / 2**64
        limit = 0.0
        for name, share in zip(SPLITS, self.shares, strict=True):
            limit += share
            if place < limit:
                return name
        return SPLITS[-1]


def artist_groups(linked: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return the group of each artist that shares a song with another one.

    Parameters
    ----------
    linked : iterable of sequences of str
        Artists that have the same song, for each such song.

    Returns
    -------
    dict
        Artist to group, the first artist id of the connected ones. An artist that stands
        in no link is a group of its own, under its own id.
    """
    parent: dict[str, str] = {}

    def find(artist: str) -> str:
        root = artist
        while parent.setdefault(root, root) != root:
            root = parent[root]
        while parent[artist] != root:
            parent[artist], artist = root, parent[artist]
        return root

    for artists in linked:
        for artist in artists[1:]:
            first, second = sorted((find(artists[0]), find(artist)))
            parent[second] = first
    return {artist: find(artist) for artist in parent}
