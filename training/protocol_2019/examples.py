"""The examples of the 2019 experiment, chosen from track ids and genres only.

The original project, in this order:

1. padded tracks with fewer than 300 segments (dropping them is an option);
2. held out some tracks at random, regardless of their artists;
3. drew 4,000 of the other tracks of the largest genre and 1,000 of each other genre *with replacement*;
4. split off 30 % of the drawn rows for validation.

So most validation rows are copies of training rows, and validation accuracy measures memorisation. Two other splits are
evaluated: the held-out tracks, none of which was drawn but most of whose artists were, and the test split of the source
dataset, whose artists were not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TRAIN, VALIDATION, HELD_OUT, ARTIST_DISJOINT = "train", "validation", "test", "artist_disjoint"
"""The splits of a dataset written by the protocol."""


@dataclass(frozen=True)
class Protocol2019:
    """Numbers of examples to draw, to split off and to hold out.

    `largest` and `others` are rows to draw of the genre with the most tracks and of each other genre, `validation` the
    share of the drawn rows to split off, and `held_out` the share of the tracks to hold out before drawing (6,000 of
    32,000 in the original). `short` is ``pad`` or ``drop``, for songs with fewer segments than a model takes.
    """

    largest: int = 4000
    others: int = 1000
    validation: float = 0.3
    held_out: float = 6 / 32
    short: str = "pad"
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """Indices of the tracks of each split.

    In `train` and `validation` a track is repeated as often as it was drawn; `held_out` has each track once.
    """

    train: np.ndarray
    validation: np.ndarray
    held_out: np.ndarray

    @property
    def validation_rows_trained_on(self) -> int:
        """Validation rows whose track is in the train split: the leak."""
        return int(np.isin(self.validation, self.train).sum())


def draw(track_ids: Sequence[str] | np.ndarray, genres: np.ndarray, rule: Protocol2019) -> Drawn:
    """Hold out tracks, draw from the others with replacement, and split off validation rows.

    Track ids are unique, in any order; `genres` are indices.

    Examples
    --------
    >>> drawn = draw(["a", "b", "c", "d", "e"], np.array([0, 0, 0, 1, 1]), Protocol2019(largest=10, others=4))
    >>> len(drawn.train), len(drawn.validation), len(drawn.held_out)
    (10, 4, 1)
    """
    generator = np.random.default_rng(rule.seed)
    order = generator.permutation(np.argsort(np.asarray(track_ids)))
    n_held_out = round(rule.held_out * len(order))
    held_out, others = order[:n_held_out], np.sort(order[n_held_out:])
    others = others[np.argsort(np.asarray(track_ids)[others])]
    counts = np.bincount(genres[others]) if len(others) else np.zeros(0, np.int64)
    rows = [
        generator.choice(others[genres[others] == genre], rule.largest if genre == counts.argmax() else rule.others)
        for genre in np.flatnonzero(counts)
    ]
    drawn = generator.permutation(np.concatenate(rows)) if rows else np.zeros(0, np.int64)
    n_validation = round(rule.validation * len(drawn))
    return Drawn(drawn[n_validation:], drawn[:n_validation], held_out)
