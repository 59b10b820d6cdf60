"""Assign tracks to splits: by a seeded hash of the artist group, or by lists of ids.

With the hash, a track's split does not depend on the other artists of the catalogue, and no artist group is in two
splits (`msd_spark.catalogue.artist_groups`).
"""

from __future__ import annotations

import hashlib
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
