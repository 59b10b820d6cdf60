"""The model or a baseline, with its metrics on a split and their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from training.evaluation.bootstrap import Artists, Statistic, resample


@dataclass(frozen=True)
class Candidate:
    """Metrics on a split, and the statistic that computes the main ones on resamples.

    Attributes
    ----------
    metrics : dict
        Content of ``metrics.json``: numbers, None where a metric is undefined, lists and dicts of these.
    """

    metrics: dict[str, Any]
    statistic: Statistic


def with_intervals(candidates: dict[str, Candidate], artists: Artists, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return the metrics of each candidate with ``intervals``, and their differences from the first candidate.

    All candidates share the resamples, so ``first_minus_this`` is the interval of the difference itself. A single
    artist cannot be resampled: then there are no intervals.

    Parameters
    ----------
    candidates : dict
        The model first.
    """
    evaluated = {
        name: candidate.metrics | {"artists": artists.count, "intervals": {}} for name, candidate in candidates.items()
    }
    if artists.count < 2:
        return evaluated
    resampled = resample({name: item.statistic for name, item in candidates.items()}, artists, bootstrap)
    first = next(iter(candidates))
    for name, own in resampled.items():
        evaluated[name]["intervals"] = {
            metric: percentile_interval(values, bootstrap.level) for metric, values in own.items()
        }
        if name != first:
            evaluated[name]["first_minus_this"] = {
                metric: percentile_interval(values - own[metric], bootstrap.level)
                for metric, values in resampled[first].items()
                if metric in own
            }
    return evaluated
