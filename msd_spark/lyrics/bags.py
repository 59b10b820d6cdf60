"""Bags of words packed into a few arrays, with far fewer objects than one per bag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from msd_spark.formats.musixmatch import BagOfWords

_TRACK_ID = np.dtype("S18")


@dataclass(frozen=True)
class Bags:
    """Bags of words, one after another.

    Bag ``i`` is ``indices[offsets[i]:offsets[i + 1]]``: places in the header's list of words, from 1, with their
    `counts` of occurrences, at least 1. `track_ids` have 18 bytes; a musiXmatch id is 0 if unknown.
    """

    track_ids: np.ndarray
    musixmatch_ids: np.ndarray
    offsets: np.ndarray
    indices: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.track_ids)

    @classmethod
    def of(cls, bags: Sequence[BagOfWords]) -> Bags:
        """Pack bags in the given order."""
        lengths = [len(bag.indices) for bag in bags]
        return cls(
            np.array([bag.track_id for bag in bags], _TRACK_ID),
            np.array([bag.musixmatch_id for bag in bags], np.int64),
            np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
            np.concatenate([np.zeros(0, np.int32), *(bag.indices for bag in bags)]),
            np.concatenate([np.zeros(0, np.int32), *(bag.counts for bag in bags)]),
        )

    @classmethod
    def concatenate(cls, parts: Iterable[Bags]) -> Bags:
        """Return the bags of all parts, in order."""
        parts = [cls.of([]), *parts]
        starts = np.cumsum([0, *(len(part.indices) for part in parts)])
        return cls(
            np.concatenate([part.track_ids for part in parts]),
            np.concatenate([part.musixmatch_ids for part in parts]),
            np.concatenate([[0], *(part.offsets[1:] + start for part, start in zip(parts, starts[:-1], strict=True))]),
            np.concatenate([part.indices for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )

    def without(self, places: Sequence[int]) -> Bags:
        """Return the bags except those at some places."""
        if not len(places):
            return self
        keep = np.ones(len(self), bool)
        keep[list(places)] = False
        lengths = np.diff(self.offsets)
        pairs = np.repeat(keep, lengths)
        offsets = np.concatenate([[0], np.cumsum(lengths[keep])])
        return Bags(self.track_ids[keep], self.musixmatch_ids[keep], offsets, self.indices[pairs], self.counts[pairs])

    def matrix(self, n_words: int) -> csr_matrix:
        """Return the occurrences as a sparse matrix of shape ``(n_bags, n_words)``, float64."""
        return csr_matrix((self.counts.astype(np.float64), self.indices - 1, self.offsets), (len(self), n_words))
