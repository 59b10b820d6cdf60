"""Mean and standard deviation of features, combined exactly from parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SMALLEST_DEVIATION = 1e-6
"""A feature with a smaller standard deviation is constant and is not scaled."""


@dataclass
class Moments:
    """Count, mean and sum of squared differences from the mean, per column, in float64.

    Parts are combined by Chan's method, which subtracts no large numbers: a standard deviation much smaller than the
    mean stays accurate.

    References
    ----------
    .. [1] T. Chan, G. Golub, R. LeVeque, "Updating Formulae and a Pairwise Algorithm for
       Computing Sample Variances", 1979.
    """

    count: float
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Moments:
        """Return the moments of rows of shape ``(n_rows, n_columns)``."""
        if not len(rows):
            return cls.none(rows.shape[1])
        wide = rows.astype(np.float64)
        mean = wide.mean(axis=0)
        return cls(float(len(wide)), mean, np.square(wide - mean).sum(axis=0))

    @classmethod
    def none(cls, n_columns: int) -> Moments:
        """Return the moments of no rows."""
        return cls(0.0, np.zeros(n_columns), np.zeros(n_columns))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of the union of two parts."""
        count = self.count + other.count
        if not count:
            return self
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        squares = self.squares + other.squares + np.square(step) * (self.count * other.count / count)
        return Moments(count, mean, squares)

    def mean_and_deviation(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of each column; 0 and 1 without rows."""
        if not self.count:
            return np.zeros_like(self.mean), np.ones_like(self.mean)
        deviation = np.sqrt(self.squares / self.count)
        return self.mean, np.where(deviation < SMALLEST_DEVIATION, 1.0, deviation)
