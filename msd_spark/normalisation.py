"""Mean and standard deviation of the features, gathered in parts and put together exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALLEST_DEVIATION = 1e-6
"""A feature that never changes is left alone rather than divided by nothing."""


@dataclass
class Moments:
    """Count, sum and sum of squares of rows of numbers, in float64.

    Attributes
    ----------
    count : float
    total, squares : numpy.ndarray
        Shape ``(n_columns,)``.
    """

    count: float
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Moments:
        """Return the moments of rows of shape ``(n_rows, n_columns)``."""
        wide = rows.astype(np.float64)
        return cls(float(len(wide)), wide.sum(axis=0), np.square(wide).sum(axis=0))

    @classmethod
    def none(cls, n_columns: int) -> Moments:
        """Return the moments of no rows."""
        return cls(0.0, np.zeros(n_columns), np.zeros(n_columns))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both parts together."""
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares)

    def mean_and_deviation(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of each column; 0 and 1 where there were no rows."""
        if not self.count:
            return np.zeros_like(self.total), np.ones_like(self.total)
        mean = self.total / self.count
        deviation = np.sqrt(np.maximum(self.squares / self.count - np.square(mean), 0.0))
        return mean, np.where(deviation < SMALLEST_DEVIATION, 1.0, deviation)
