"""Percentile bootstrap intervals of metrics, by resampling units such as artists or users.

References
----------
.. [1] B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993: chapter 13 for the percentile method;
   chapter 8 for resampling units other than single observations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Interval = list[float] | None
"""Lower and upper bound; None where no interval can be computed."""

CELLS_AT_ONCE = 4_000_000
"""Numbers in the largest array in memory: 32 MB."""


@dataclass(frozen=True)
class Bootstrap:
    """Settings of the bootstrap.

    `level` is the share of the resampled values within an interval, between 0 and 1.
    """

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 2 or not 0 < self.level < 1:
            raise ValueError(f"{self.resamples} resamples at level {self.level} give no interval")

    def n_chunks(self, units: int) -> int:
        """Return the number of chunks that `draws` yields."""
        return -(-self.resamples // _at_once(units))

    def draws(self, units: int) -> Iterator[np.ndarray]:
        """Yield how often each unit is drawn in `m` resamples: shape ``(units, m)``, float64."""
        generator = np.random.default_rng(self.seed)
        at_once = _at_once(units)
        for start in range(0, self.resamples, at_once):
            m = min(at_once, self.resamples - start)
            drawn = np.empty((units, m))
            for column in range(m):
                drawn[:, column] = np.bincount(generator.integers(0, units, units), minlength=units)
            yield drawn

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the column means of every resample: ``(resamples, k)`` for values ``(units, k)``.

        All columns share the same resamples, so their differences and ratios are paired.
        """
        return np.concatenate([drawn.T @ values for drawn in self.draws(len(values))]) / len(values)


def _at_once(units: int) -> int:
    """Return the number of resamples per chunk, small enough that ranks can share the chunks."""
    return max(1, min(64, CELLS_AT_ONCE // units))


def percentile_interval(values: np.ndarray, level: float) -> Interval:
    """Return the percentile interval [1]_ of a metric's resampled values.

    The values have shape ``(resamples,)``. Resamples in which the metric is undefined (NaN) are left out; if it
    is undefined in half of them or more, the interval is None.
    """
    defined = values[np.isfinite(values)]
    if 2 * len(defined) <= len(values):
        return None
    outside = (1 - level) / 2
    low, high = np.quantile(defined, [outside, 1 - outside])
    return [float(low), float(high)]
