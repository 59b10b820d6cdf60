"""Bootstrap intervals, resampled by artist.

Songs of one artist are alike, and a model that knows the one tends to know the others: tracks are no
independent draws, artists nearly are. So a resample draws whole artist groups with replacement, as many as
there are, and every figure is computed anew on the examples of the drawn ones, an artist drawn twice
counting twice. The interval is that of the percentile method: from the 2.5th to the 97.5th percentile of
the resamples' figures.

A figure comes here as a `Statistic`: it is given how often each artist was drawn, for many resamples at
once, and works on what it has summed up by artist. So 1,000 resamples of 30,000 examples take seconds.

References
----------
.. [1] B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993: chapter 13 for the percentile
   method; chapter 8 for the resampling of units other than single observations.
.. [2] C. Field, A. Welsh, "Bootstrapping clustered data", J. R. Statist. Soc. B 69, 2007: the cluster
   bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From how often each artist was drawn, shape ``(n_artists, m)``, to figures of shape ``(m,)`` by name; NaN where a
figure is not defined on a resample."""

Interval = list[float] | None
"""Lower and upper bound; None where there is none to be had."""

CELLS_AT_ONCE = 4_000_000
"""Numbers in the largest array that is held: 32 MB."""


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Attributes
    ----------
    resamples : int
    level : float
        Share of the resamples' figures that lies within an interval.
    seed : int
    """

    resamples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what gives no interval."""
        if self.resamples < 2 or not 0 < self.level < 1:
            raise ValueError(f"{self.resamples} resamples at level {self.level} give no interval")


@dataclass(frozen=True)
class Artists:
    """Which artist group each example is of.

    Attributes
    ----------
    index : numpy.ndarray
        Shape ``(n,)``: the group's number for each example.
    count : int
        Groups.
    """

    index: np.ndarray
    count: int

    @classmethod
    def of(cls, groups: np.ndarray) -> Artists:
        """Give the groups numbers by their sorted names, so that the examples' order does not matter.

        Parameters
        ----------
        groups : numpy.ndarray
            Shape ``(n,)``: names.
        """
        names, index = np.unique(groups, return_inverse=True)
        return cls(index, len(names))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of values of shape ``(n, k)`` by artist: shape ``(n_artists, k)``, float64."""
        wide = np.asarray(values, np.float64)
        return self.matrix(np.arange(len(wide)), len(wide)).T @ wide

    def matrix(self, rows: np.ndarray, n_rows: int, chosen: np.ndarray | None = None) -> sparse.csr_matrix:
        """Return how many examples of each artist fall into each row.

        Parameters
        ----------
        rows : numpy.ndarray
            Shape ``(n_chosen,)``: the row of each chosen example.
        n_rows : int
        chosen : numpy.ndarray, optional
            Which examples, as indices; all of them when left out.

        Returns
        -------
        scipy.sparse.csr_matrix
            Shape ``(n_rows, n_artists)``. Times how often artists were drawn, it gives what each row weighs.
        """
        columns = self.index if chosen is None else self.index[chosen]
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_rows, self.count))

    def draws(self, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
        """Give how often each artist is drawn, some resamples at a time: shape ``(n_artists, m)``, float64."""
        generator = np.random.default_rng(bootstrap.seed)
        at_once = max(1, min(256, CELLS_AT_ONCE // self.count))
        for start in range(0, bootstrap.resamples, at_once):
            m = min(at_once, bootstrap.resamples - start)
            drawn = np.empty((self.count, m))
            for column in range(m):
                drawn[:, column] = np.bincount(generator.integers(0, self.count, self.count), minlength=self.count)
            yield drawn


def resample(statistics: Mapping[str, Statistic], artists: Artists, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return every resample's figures, for several candidates on the same resamples.

    Parameters
    ----------
    statistics : mapping
        By candidate (the model, a baseline).
    artists : Artists
    bootstrap : Bootstrap

    Returns
    -------
    dict
        By candidate, a dict of arrays of shape ``(resamples,)`` by figure.
    """
    parts: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in statistics}
    for drawn in artists.draws(bootstrap):
        for name, statistic in statistics.items():
            parts[name].append(statistic(drawn))
    return {
        name: {figure: np.concatenate([part[figure] for part in found]) for figure in found[0]}
        for name, found in parts.items()
    }


def percentile_interval(figures: np.ndarray, level: float) -> Interval:
    """Return the percentile interval of a figure's resamples.

    Resamples on which the figure is not defined are left out; where that is every second one or more, or
    where all are equal for want of a second artist, no interval is claimed.

    Parameters
    ----------
    figures : numpy.ndarray
        Shape ``(resamples,)``; NaN where not defined.
    level : float
    """
    defined = figures[np.isfinite(figures)]
    if 2 * len(defined) <= len(figures):
        return None
    outside = (1 - level) / 2
    low, high = np.quantile(defined, [outside, 1 - outside])
    return [float(low), float(high)]


def mean_statistic(values: Mapping[str, np.ndarray], artists: Artists) -> Statistic:
    """Return the statistic of plain means over examples.

    Parameters
    ----------
    values : mapping
        By figure, shape ``(n,)``: a number for each example.
    artists : Artists
    """
    sums = artists.sums(np.column_stack([np.ones(len(artists.index)), *values.values()])).T

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        examples, *totals = sums @ drawn
        return {name: total / examples for name, total in zip(values, totals, strict=True)}

    return figures


def together(*statistics: Statistic) -> Statistic:
    """Return the statistic of several ones' figures."""

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values for statistic in statistics for name, values in statistic(drawn).items()}

    return figures
