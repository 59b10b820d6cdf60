"""Resampling of the train split by genre. Pure; it sees the train split alone, after the splits are made.

A genre that is to have more rows than it has tracks repeats them: every track as often as every
other, or once more. One that is to have fewer leaves tracks out. Which ones is decided by the order
of a seeded hash of the track id: the choice does not depend on the order of the tracks, and where a
genre has enough, a track that is added takes the place of one other at most.

The original project drew with replacement (pandas' ``sample(replace=True)``) even where a genre had
enough: 4,000 draws of 4,000 tracks leave out 37 % of them. Here a track is repeated only where
there are too few.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

RULES = "none, original, N:M or sqrt"
ORIGINAL = (4000, 1000)
"""Rows of the largest genre and of every other one, in the original project."""


@dataclass(frozen=True)
class BalanceRule:
    """How many rows each genre gets in the train split.

    Attributes
    ----------
    kind : str
        ``none``; ``counts`` for `largest` rows of the genre with the most tracks and `others` of
        every other; ``sqrt`` for shares by the square root of the genre's tracks, the total kept.
    largest, others : int
    seed : int
    """

    kind: str = "none"
    largest: int = 0
    others: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> BalanceRule:
        """Return the rule that ``--balance`` names.

        Raises
        ------
        ValueError
            When it names none.

        Examples
        --------
        >>> BalanceRule.parse("original")
        BalanceRule(kind='counts', largest=4000, others=1000, seed=0)
        """
        if text in ("none", "sqrt"):
            return cls(text, seed=seed)
        if text == "original":
            return cls("counts", *ORIGINAL, seed)
        counts = re.fullmatch(r"([1-9][0-9]{0,8}):([1-9][0-9]{0,8})", text)
        if counts is None:
            raise ValueError(f"a balance is {RULES} with N and M of at least 1, not {text!r}")
        return cls("counts", int(counts[1]), int(counts[2]), seed)

    def rows(self, tracks: dict[str, int]) -> dict[str, int]:
        """Return the rows that each genre gets, from its tracks.

        The largest genre is the one with the most tracks; of several the first by name.

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
        return _shared_out(sum(tracks.values()), {genre: n**0.5 for genre, n in tracks.items()})


def _shared_out(total: int, parts: dict[str, float]) -> dict[str, int]:
    """Return whole numbers in proportion to `parts` that add up to `total`, by the largest remainders."""
    whole = sum(parts.values())
    exact = {name: total * part / whole for name, part in parts.items()}
    rows = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(parts, key=lambda name: (rows[name] - exact[name], name))
    for name in by_remainder[: total - sum(rows.values())]:
        rows[name] += 1
    return rows


def resample(train: pd.DataFrame, rule: BalanceRule) -> np.ndarray:
    """Return how often each track of the train split is to be a row.

    Parameters
    ----------
    train : pandas.DataFrame
        ``track_id`` and ``genre``, null where a track has none: it stays as it is, once.
    rule : BalanceRule

    Returns
    -------
    numpy.ndarray
        Shape ``(n_tracks,)``, int64; 0 where a track is left out.
    """
    times = np.ones(len(train), np.int64)
    if rule.kind == "none":
        return times
    genres = train["genre"].to_numpy(object)
    places = {str(genre): np.flatnonzero(genres == genre) for genre in train["genre"].dropna().unique()}
    wanted = rule.rows({genre: len(where) for genre, where in places.items()})
    tracks: list[str] = train["track_id"].tolist()
    for genre, where in places.items():
        order = sorted(where.tolist(), key=lambda place: (_draw(rule.seed, tracks[place]), tracks[place]))
        each, more = divmod(wanted[genre], len(order))
        times[order] = each
        times[order[:more]] += 1
    return times


def _draw(seed: int, track: str) -> bytes:
    return hashlib.blake2b(f"balance:{seed}:{track}".encode(), digest_size=8).digest()
