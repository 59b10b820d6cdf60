"""Which split a track belongs to: a seeded hash of its artist group, or what an official list says.

So a track's split does not depend on which other artists are in the catalogue, and no
artist is in two splits (`msd_spark.catalogue.artist_groups` says which artists are one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from msd_spark.core.schemas import SPLITS

IDS = ["track_id", "song_id"]
"""What a list can name a track by: its own id, or that of its song."""

BY = ("artist", "track", "lists")


@dataclass(frozen=True)
class SplitRule:
    """How tracks are parted.

    Attributes
    ----------
    shares : tuple of float
        Of train, validation and test; they add up to 1.
    seed : int
    by : str
        ``artist``; ``track`` for comparison with work that leaks artists; ``lists`` where official
        lists say it, and shares and seed play no part.
    """

    shares: tuple[float, ...] = (0.7, 0.1, 0.2)
    seed: int = 0
    by: str = "artist"

    def __post_init__(self) -> None:
        """Refuse shares that are not three parts of a whole."""
        if len(self.shares) != len(SPLITS) or min(self.shares) < 0 or not abs(sum(self.shares) - 1) <= 1e-9:
            raise ValueError(f"shares of {', '.join(SPLITS)} are three numbers that add up to 1, not {self.shares}")
        if self.by not in BY:
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


def split_of_tracks(tracks: pd.DataFrame, rule: SplitRule) -> pd.Series:
    """Return the split of every track.

    Parameters
    ----------
    tracks : pandas.DataFrame
        ``track_id`` and ``artist_group``; where the rule is by lists, ``listed`` with the split of each.
    rule : SplitRule
    """
    if rule.by == "lists":
        return tracks["listed"]
    keys = tracks["track_id" if rule.by == "track" else "artist_group"]
    return keys.map({key: rule.split_of(key) for key in keys.unique()})


def read_split_list(lines: Iterable[str]) -> tuple[list[str], list[tuple[int, str, str]]]:
    """Return the ids of a list, and what of it is none.

    Parameters
    ----------
    lines : iterable of str
        A track id or a song id a line; what follows a tab is left alone, and so are empty lines
        and those that begin with ``#``.

    Returns
    -------
    ids : list of str
        In the list's order.
    refused : list of (int, str, str)
        Number of the line, the reason (``bad_id`` or ``repeated_id``), and the text.
    """
    ids: dict[str, None] = {}
    refused: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, 1):
        name = line.split("\t")[0].strip()
        if not name or name.startswith("#"):
            continue
        if not (len(name) == 18 and name.isascii() and name.isalnum() and name[:2] in ("TR", "SO")):
            refused.append((number, "bad_id", line[:100]))
        elif name in ids:
            refused.append((number, "repeated_id", name))
        else:
            ids[name] = None
    return list(ids), refused


def listed_splits(tracks: pd.DataFrame, lists: Mapping[str, Iterable[str]]) -> pd.Series:
    """Return the split that official lists give each track, null where none has it.

    Parameters
    ----------
    tracks : pandas.DataFrame
        ``track_id`` and ``song_id``.
    lists : mapping
        Split to ids of tracks or songs. A song's id stands for all its tracks.

    Raises
    ------
    ValueError
        When a track is in two lists, by whichever of its ids.
    """
    found = pd.Series(None, index=tracks.index, dtype=object)
    for split, ids in lists.items():
        wanted = set(ids)
        here = tracks["track_id"].isin(wanted) | tracks["song_id"].isin(wanted)
        twice = here & found.notna()
        if twice.any():
            track, song, other = min(zip(*(tracks[twice][name] for name in IDS), found[twice], strict=True))
            raise ValueError(
                f"{int(twice.sum())} tracks are in two lists: {track} (song {song}) is in {other} and {split}"
            )
        found[here] = split
    return found


def groups_in_several_splits(tracks: pd.DataFrame) -> int:
    """Return how many artist groups have tracks in more than one split, of ``artist_group`` and ``split``."""
    once = tracks[["artist_group", "split"]].drop_duplicates()
    return int(once.loc[once["artist_group"].duplicated(), "artist_group"].nunique())
