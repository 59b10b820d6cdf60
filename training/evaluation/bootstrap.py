"""Statistics of metrics that are resampled by artist.

Songs of one artist are alike, so examples are not independent draws, but artists nearly are. A resample draws as many
artists as there are, with replacement, and counts an artist's examples as often as the artist is drawn. A metric is
computed from sums per artist, for many resamples at once: 1,000 resamples of 30,000 examples take seconds.

References
----------
.. [1] C. Field, A. Welsh, "Bootstrapping clustered data", J. R. Statist. Soc. B 69, 2007: the cluster bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from msd_spark.core.bootstrap import Bootstrap

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From how often each artist was drawn, shape ``(n_artists, m)``, to figures of shape ``(m,)`` by name; NaN where a
figure is not defined on a resample."""


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
    for drawn in bootstrap.draws(artists.count):
        for name, statistic in statistics.items():
            parts[name].append(statistic(drawn))
    return {
        name: {figure: np.concatenate([part[figure] for part in found]) for figure in found[0]}
        for name, found in parts.items()
    }


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
