"""The vectors to search, two distances, and a bound of float32's rounding error.

The search uses float32 scores, greater for nearer songs, so that one matrix product serves both distances. For the
cosine the vectors are scaled to length 1 and multiplied. For the Euclidean distance they are centred and get one more
dimension, so that the score is ``x·y - |y|²/2 = (|x|² - |x - y|²) / 2``. Reported distances, and the order of
neighbours, are computed from the vectors in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

ROUNDING = 2.0**-23
"""Twice float32's unit roundoff."""

SPARE_ROUNDINGS = 8
"""Roundings of a score besides those of its sum: of scaling, centring and the added dimension."""

ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Space:
    """Vectors to search, in the order of track ids.

    `vectors` are ``(n, size)``, float32, and `scaled` the factors of scaled queries, ``(n, size)``, or
    ``(n, size + 1)`` for the Euclidean distance. `centre` ``(size,)``, float64, is subtracted before scaling; zero for
    the cosine. `reach` is the greatest length of a centred vector; 1 for the cosine. The metric is ``cosine`` or
    ``euclidean``.
    """

    metric: str
    vectors: np.ndarray
    scaled: np.ndarray
    centre: np.ndarray
    reach: float

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def of(cls, vectors: np.ndarray, metric: str) -> Self:
        """Prepare ``(n, size)`` vectors; raise ValueError if a number or its square is not finite."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        bad = ~np.isfinite(vectors).all(axis=1)
        if bad.any():
            raise ValueError(f"{int(bad.sum())} vectors are not finite, the first is number {int(bad.argmax())}")
        size = vectors.shape[1]
        if metric == "cosine":
            scaled = np.empty_like(vectors)
            for start in range(0, len(vectors), ROWS_AT_ONCE):
                scaled[start : start + ROWS_AT_ONCE] = unit(vectors[start : start + ROWS_AT_ONCE])
            return cls(metric, vectors, scaled, np.zeros(size), 1.0)
        centre = vectors.mean(axis=0, dtype=np.float64) if len(vectors) else np.zeros(size)
        scaled = np.empty((len(vectors), size + 1), np.float32)
        reach = 0.0
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            centred = vectors[start : start + ROWS_AT_ONCE] - centre
            squares = np.einsum("ij,ij->i", centred, centred)
            scaled[start : start + ROWS_AT_ONCE, :size] = centred
            with np.errstate(over="ignore"):  # checked below
                scaled[start : start + ROWS_AT_ONCE, size] = squares / -2
            reach = max(reach, float(np.sqrt(squares.max())))
        if not np.isfinite(scaled).all():
            raise ValueError(f"vectors of a length of {reach:.3g} have squares beyond the range of float32")
        return cls(metric, vectors, scaled, centre, reach)

    def queries(self, vectors: np.ndarray) -> np.ndarray:
        """Scale queries of shape ``(m, size)``, float32; ``scaled @ queries.T`` are their scores."""
        if self.metric == "cosine":
            return unit(vectors).astype(np.float32)
        centred = np.asarray(vectors, np.float64) - self.centre
        return np.hstack([centred, np.ones((len(centred), 1))]).astype(np.float32)

    def margin(self, vectors: np.ndarray) -> np.ndarray:
        """Return a bound of the rounding error of float32 scores per query: shape ``(m,)``.

        The error of a float32 sum of n products is at most n roundings of the sum of their magnitudes [1]_.

        References
        ----------
        .. [1] N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, section 3.1.
        """
        lengths = np.ones(len(vectors))
        if self.metric == "euclidean":
            lengths = np.linalg.norm(np.asarray(vectors, np.float64) - self.centre, axis=1)
        magnitude = lengths * self.reach + (self.reach**2 / 2 if self.metric == "euclidean" else 0.0)
        return (self.vectors.shape[1] + SPARE_ROUNDINGS) * ROUNDING * magnitude

    def distances(self, vectors: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return the float64 distances from queries ``(m, size)`` to songs ``(m, count)``.

        They are 1 minus the cosine (1 for a vector of zeros), or the Euclidean distance; infinite for a negative
        number of a song. Equal vectors have equal distances, bit for bit, in any row.
        """
        songs = self.vectors[np.maximum(places, 0)].astype(np.float64)
        queries = np.asarray(vectors, np.float64)
        if self.metric == "cosine":
            cosine = np.einsum("mcd,md->mc", unit(songs), unit(queries))
            distances = np.clip(1 - cosine, 0, 2)
        else:
            songs -= queries[:, None]
            distances = np.sqrt(np.einsum("mcd,mcd->mc", songs, songs))
        return np.where(places < 0, np.inf, distances)

    def scores(self, vectors: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Return the float64 scores of distances of shape ``(m, count)``."""
        if self.metric == "cosine":
            return 1 - distances
        lengths = np.linalg.norm(np.asarray(vectors, np.float64) - self.centre, axis=1)
        return (lengths[:, None] ** 2 - distances**2) / 2


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors along the last axis to length 1, in float64; zero vectors stay unchanged."""
    values = np.asarray(vectors, np.float64)
    lengths = np.sqrt(np.einsum("...d,...d->...", values, values))[..., None]
    return values / np.where(lengths == 0, 1, lengths)
