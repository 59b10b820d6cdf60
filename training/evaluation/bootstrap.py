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

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from training.evaluation.mapping import Mapper, map_here

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Function from how often each artist is drawn, shape ``(n_artists, m)``, to metrics of shape ``(m,)`` by name; NaN
where a metric is undefined on a resample."""


@dataclass(frozen=True)
class Artists:
    """The artist group of each example, as an `index` ``(n,)`` from 0 to ``count - 1``."""

    index: np.ndarray
    count: int

    @classmethod
    def of(cls, groups: np.ndarray) -> Artists:
        """Index the groups by their sorted names, so that the order of the examples does not matter."""
        names, index = np.unique(groups, return_inverse=True)
        return cls(index, len(names))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums per artist of values ``(n, k)``: shape ``(n_artists, k)``, float64."""
        wide = np.asarray(values, np.float64)
        return self.matrix(np.arange(len(wide)), len(wide)).T @ wide

    def matrix(self, rows: np.ndarray, n_rows: int, chosen: np.ndarray | None = None) -> sparse.csr_matrix:
        """Return the number of examples per row and artist: shape ``(n_rows, n_artists)``.

        Multiplied by how often each artist is drawn, it is the weight of each row in a resample. `rows` has the row of
        each example, or of each one at the indices `chosen`.
        """
        columns = self.index if chosen is None else self.index[chosen]
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_rows, self.count))


def resample(
    statistics: Mapping[str, Statistic], artists: Artists, bootstrap: Bootstrap, mapper: Mapper = map_here
) -> dict[str, Any]:
    """Return the metrics of every resample, the same resamples for all candidates.

    Returns
    -------
    dict
        By candidate, then by metric: arrays of shape ``(resamples,)``.
    """
    draws = enumerate(bootstrap.draws(artists.count))

    def of_chunk(chunk: int) -> dict[str, dict[str, np.ndarray]]:
        # One generator draws all resamples, so those of other ranks are drawn as well and ignored.
        drawn = next(drawn for number, drawn in draws if number == chunk)
        return {name: statistic(drawn) for name, statistic in statistics.items()}

    chunks = mapper(of_chunk, range(bootstrap.n_chunks(artists.count)))
    return {
        name: {metric: np.concatenate([chunk[name][metric] for chunk in chunks]) for metric in chunks[0][name]}
        for name in statistics
    }


def mean_statistic(values: Mapping[str, np.ndarray], artists: Artists) -> Statistic:
    """Return the statistic of means over examples, from one value per example and metric."""
    sums = artists.sums(np.column_stack([np.ones(len(artists.index)), *values.values()])).T

    def means(drawn: np.ndarray) -> dict[str, np.ndarray]:
        examples, *totals = sums @ drawn
        return {name: total / examples for name, total in zip(values, totals, strict=True)}

    return means


def together(*statistics: Statistic) -> Statistic:
    """Return one statistic with the metrics of several statistics."""
    return lambda drawn: {name: values for one in statistics for name, values in one(drawn).items()}


@dataclass(frozen=True)
class Candidate:
    """Metrics of the model or a baseline, and the statistic of the main ones on resamples.

    `metrics` is the content of ``metrics.json``: numbers, None where a metric is undefined, lists and dicts of these.
    """

    metrics: dict[str, Any]
    statistic: Statistic


def with_intervals(
    candidates: dict[str, Candidate], artists: Artists, bootstrap: Bootstrap, mapper: Mapper = map_here
) -> dict[str, Any]:
    """Return each candidate's metrics with ``intervals``, and differences from the first.

    The first candidate is the model. All share the resamples, so ``first_minus_this`` is the interval of the difference
    itself. A single artist cannot be resampled: then there are no intervals. An undefined metric has none either.
    """
    evaluated = {
        name: candidate.metrics | {"artists": artists.count, "intervals": {}} for name, candidate in candidates.items()
    }
    if artists.count < 2:
        return evaluated
    resampled = resample({name: item.statistic for name, item in candidates.items()}, artists, bootstrap, mapper)
    first = next(iter(candidates))
    for name, own in resampled.items():
        evaluated[name]["intervals"] = {
            metric: percentile_interval(values, bootstrap.level)
            for metric, values in own.items()
            if evaluated[name][metric] is not None
        }
        if name != first:
            evaluated[name]["first_minus_this"] = {
                metric: percentile_interval(values - own[metric], bootstrap.level)
                for metric, values in resampled[first].items()
                if metric in own and None not in (evaluated[first][metric], evaluated[name][metric])
            }
    return evaluated
