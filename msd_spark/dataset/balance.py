"""Resample the train split by genre.

A genre with fewer tracks than rows repeats its tracks, each as often as the others or once more. A genre with more
tracks leaves some out. A seeded hash of the track id chooses them, so the choice does not depend on the order of the
tracks, and a new track replaces at most one other. The original project drew with replacement even from enough tracks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from msd_spark.dataset.splits import hash_of

RULES = "none, original (4000:1000), N:M or sqrt"
RULE = re.compile("none|original|sqrt|[1-9][0-9]{0,8}:[1-9][0-9]{0,8}")

ORIGINAL = "4000:1000"
"""The rule of the original project."""


@dataclass(frozen=True)
class BalanceRule:
    """Number of rows per genre in the train split.

    `kind` is ``none``; ``counts`` for `largest` rows of the genre with the most tracks and `others` of every other; or
    ``sqrt`` for rows in proportion to the square root of the genre's tracks, with the same total.
    """

    kind: str = "none"
    largest: int = 0
    others: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> BalanceRule:
        """Return the rule that ``--balance`` names; `text` must match `RULE`.

        Examples
        --------
        >>> BalanceRule.parse("original")
        BalanceRule(kind='counts', largest=4000, others=1000, seed=0)
        """
        if text in ("none", "sqrt"):
            return cls(text, seed=seed)
        largest, others = (ORIGINAL if text == "original" else text).split(":")
        return cls("counts", int(largest), int(others), seed)

    def rows(self, tracks: dict[str, int]) -> dict[str, int]:
        """Return the number of rows per genre from the number of tracks per genre.

        If several genres have the most tracks, the first by name counts as the largest.

        Examples
        --------
        >>> BalanceRule("counts", 40, 10).rows({"Jazz": 7, "Rap": 90})
        {'Jazz': 10, 'Rap': 40}
        """
        if self.kind == "none" or not tracks:
            return dict(tracks)
        if self.kind == "counts":
            largest = min(tracks, key=lambda genre: (-tracks[genre], genre))
            return {genre: self.largest if genre == largest else self.others for genre in tracks}
        return _allocate(sum(tracks.values()), {genre: n**0.5 for genre, n in tracks.items()})


def _allocate(total: int, weights: dict[str, float]) -> dict[str, int]:
    """Return integers in proportion to weights that add up to `total`, by largest remainders."""
    exact = {name: total * weight / sum(weights.values()) for name, weight in weights.items()}
    rows = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(weights, key=lambda name: (rows[name] - exact[name], name))
    for name in by_remainder[: total - sum(rows.values())]:
        rows[name] += 1
    return rows


def resample(train: pd.DataFrame, rule: BalanceRule) -> np.ndarray:
    """Return how many rows each track of the train split gets, 0 if it is left out.

    `train` has ``track_id`` and ``genre``; a track without a genre (null) gets one row.
    """
    repeats = np.ones(len(train), np.int64)
    if rule.kind == "none":
        return repeats
    genres = train["genre"].to_numpy(object)
    members = {str(genre): np.flatnonzero(genres == genre) for genre in train["genre"].dropna().unique()}
    tracks: list[str] = train["track_id"].tolist()
    for genre, n_rows in rule.rows({genre: len(places) for genre, places in members.items()}).items():
        places = sorted(
            members[genre].tolist(), key=lambda place: (hash_of(f"balance:{rule.seed}:{tracks[place]}"), tracks[place])
        )
        repeats[places] = n_rows // len(places)
        repeats[places[: n_rows % len(places)]] += 1
    return repeats
