"""The experiment of 2019, repeated: which examples it trained on and which it was judged by. Pure, on light columns.

What the original project did, in this order:

1. tracks with fewer than 300 segments are dropped;
2. tracks are parted at random, whoever their artist is, and some are held out;
3. of the others 4,000 of the largest genre and 1,000 of every other genre are drawn *with replacement*;
4. 30 % of what was drawn is cut off for validation.

So copies of one track stand on both sides of the cut, and the validation figure is one of remembering. Two figures
stand beside it here: on the held-out tracks, none of which was drawn (but most of which are by artists that were), and
on tracks of artists that took no part at all, which are the test split of the dataset that this is made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TRAIN, VALIDATION, HELD_OUT, ARTIST_DISJOINT = "train", "validation", "test", "artist_disjoint"
"""The splits of a dataset made by the protocol."""


@dataclass(frozen=True)
class Protocol2019:
    """How many are drawn, cut and held out.

    Attributes
    ----------
    largest, others : int
        Rows drawn of the genre with the most tracks, and of every other.
    validation : float
        Share of the drawn rows that is cut off.
    held_out : float
        Share of the tracks that is held out before anything is drawn.
    seed : int
    """

    largest: int = 4000
    others: int = 1000
    validation: float = 0.3
    held_out: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what leaves nothing to train on."""
        if min(self.largest, self.others) < 1:
            raise ValueError(f"at least 1 row of each genre is drawn, not {self.largest} and {self.others}")
        if not (0 < self.validation < 1 and 0 < self.held_out < 1):
            raise ValueError("the shares for validation and of held-out tracks lie between 0 and 1")


@dataclass(frozen=True)
class Drawn:
    """What became of the tracks.

    Attributes
    ----------
    train, validation : numpy.ndarray
        Places of tracks; a track stands there as often as it was drawn.
    held_out : numpy.ndarray
        Places of tracks, each once.
    """

    train: np.ndarray
    validation: np.ndarray
    held_out: np.ndarray

    @property
    def validation_rows_trained_on(self) -> int:
        """Rows of validation whose track is in train, too: the leak."""
        return int(np.isin(self.validation, self.train).sum())


def draw(track_ids: Sequence[str] | np.ndarray, genres: np.ndarray, rule: Protocol2019) -> Drawn:
    """Hold tracks out, draw of the others with replacement, and cut off the validation rows.

    Parameters
    ----------
    track_ids : sequence of str
        Each once. Their order does not matter.
    genres : numpy.ndarray
        Shape ``(n_tracks,)``: indices.
    rule : Protocol2019

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
