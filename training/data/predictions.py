"""Predictions and truths of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Predictions:
    """Scores of the examples of a split, sorted by track id.

    Attributes
    ----------
    track_ids, artist_groups : numpy.ndarray
        Shape ``(n,)``, str. Examples of one artist are not independent: resample by group.
    true : numpy.ndarray
        Shape ``(n,)``, int32: the class (genre, popularity); or ``(n, size)``, float32 (tags, factors).
    scores : numpy.ndarray
        Shape ``(n, size)``, float32: probabilities of the classes (genre, popularity) or of each tag; factors.
    present : numpy.ndarray
        Shape ``(n,)``, bool: whether the example has the target; otherwise `true` has no meaning.
    """

    track_ids: np.ndarray
    artist_groups: np.ndarray
    true: np.ndarray
    scores: np.ndarray
    present: np.ndarray

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """Return the predictions of several splits, at least one."""
        return cls(**{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)})

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.track_ids)

    def take(self, places: np.ndarray) -> Predictions:
        """Return the predictions of some examples, by indices or a boolean mask."""
        return Predictions(**{item.name: getattr(self, item.name)[places] for item in fields(self)})

    def judged(self) -> Predictions:
        """Return the predictions of the examples that have the target."""
        return self.take(self.present)
