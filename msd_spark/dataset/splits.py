"""Assign tracks to splits: by a seeded hash of the artist group, or by lists of ids.

With the hash, a track's split does not depend on the other artists of the catalogue, and no artist group is in two
splits (`msd_spark.catalogue.artist_groups`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from msd_spark.core.schemas import SPLITS


def hash_of(text: str) -> bytes:
    """Return 8 bytes that depend only on a text, not on the order of the tracks."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


@dataclass(frozen=True)
class SplitRule:
    """How tracks are assigned to splits.

    `shares` are the fractions of train, validation and test; they add up to 1. `by` is ``artist``; ``track`` for
    comparison with work that leaks artists; or ``lists`` if lists of ids decide, without regard to shares and seed.
    """

    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    seed: int = 0
    by: str = "artist"

    def split_of(self, group: str) -> str:
        """Return the split of an artist group, or of a track id if the split is by track."""
        place = int.from_bytes(hash_of(f"{self.seed}:{group}"), "big") / 2**64
        limit = 0.0
        for name, share in zip(SPLITS, self.shares, strict=True):
            limit += share
            if place < limit:
                return name
        return SPLITS[-1]


def split_of_tracks(tracks: pd.DataFrame, rule: SplitRule) -> pd.Series:
    """Return the split of each track.

    It is chosen by ``artist_group``, by ``song_group`` or ``track_id``, or as ``listed``.
    """
    if rule.by == "lists":
        return tracks["listed"]
    keys = tracks["artist_group"] if rule.by == "artist" else tracks.get("song_group", tracks["track_id"])
    return keys.map({key: rule.split_of(key) for key in keys.unique()})


def read_split_list(lines: Iterable[str]) -> tuple[list[str], list[tuple[int, str, str]]]:
    """Return the ids of a list, and line number, reason and text of invalid lines.

    A line holds one track id or song id, with or without quotes. Text after a tab, a comma or a semicolon, empty lines
    and lines that start with ``#`` are ignored. The reason is ``bad_id`` (also for a header) or ``repeated_id``.
    """
    ids: dict[str, None] = {}
    refused: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, 1):
        name = re.split("[\t,;]", line, maxsplit=1)[0].strip().strip('"')
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
    """Return the split of each track according to lists; null for tracks in no list.

    `lists` maps a split to track ids and song ids. A song id selects all tracks of the song. A track in two lists, by
    either of its ids, is an error.
    """
    splits = pd.Series(None, index=tracks.index, dtype=object)
    for split, ids in lists.items():
        unique_ids = set(ids)
        members = tracks["track_id"].isin(unique_ids) | tracks["song_id"].isin(unique_ids)
        repeated = members & splits.notna()
        if repeated.any():
            columns = tracks["track_id"], tracks["song_id"], splits
            track, song, first_split = min(zip(*(column[repeated] for column in columns), strict=True))
            raise ValueError(
                f"{int(repeated.sum())} tracks are in two lists: {track} (song {song}) is in {first_split} and {split}"
            )
        splits[members] = split
    return splits
