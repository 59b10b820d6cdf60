"""Means over seeds for several models and inputs, with intervals over artists and seeds.

Every resample draws artist groups and, independently, seeds with replacement [1]_, and averages the metric on the drawn
artists over the drawn seeds. All combinations share the resamples, so the interval of a difference is that of the
difference itself. With n seeds the variance due to seeds is underestimated by a factor of (n - 1) / n.

References
----------
.. [1] A. B. Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 2007: resampling two crossed factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate

from msd_spark.core.bootstrap import Bootstrap, Interval, percentile_interval
from msd_spark.core.errors import UserError
from training.data.predictions import Predictions
from training.data.targets.target import Target
from training.evaluation.bootstrap import Artists, resample
from training.evaluation.deciding import LESS_IS_BETTER
from training.evaluation.judgement import candidate_of, epoch_metrics


class Combination(NamedTuple):
    """A model and its inputs."""

    model: str
    inputs: str

    def __str__(self) -> str:
        """Return the combination as in the names of runs."""
        return f"{self.model}-{self.inputs}"


@dataclass(frozen=True)
class Pooled:
    """Metrics of a combination over its seeds.

    `by_seed` has one value per seed by metric, None where it is undefined; `resampled` has shape ``(resamples,)`` by
    metric and is empty if there is a single artist.
    """

    by_seed: dict[str, list[float | None]]
    resampled: dict[str, np.ndarray]

    def mean(self, metric: str) -> float | None:
        """Return the mean over the seeds; None if the metric is undefined for one of them."""
        values = self.by_seed[metric]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if len(defined) == len(values) else None

    def standard_deviation(self, metric: str) -> float | None:
        """Return the standard deviation over the seeds; None for a single seed."""
        defined = [value for value in self.by_seed[metric] if value is not None]
        return float(np.std(defined, ddof=1)) if len(defined) > 1 else None


def pooled_folds(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several folds as those of one split, sorted by track id."""
    pooled = Predictions.concatenate(parts)
    if len(np.unique(pooled.track_ids)) != len(pooled):
        raise UserError("a song is in more than one fold; add --overwrite to train the folds again")
    return pooled.take(np.argsort(pooled.track_ids, kind="stable"))


def pool(
    target: Target,
    predictions: Mapping[Combination, Mapping[int, Predictions]],
    metrics: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[Combination, Pooled]:
    """Evaluate the runs of every combination on the same resamples.

    `predictions` are by combination, then by seed; all must have the same examples and the same seeds.
    """
    runs = {
        (combination, seed): made.judged()
        for combination, by_seed in predictions.items()
        for seed, made in by_seed.items()
    }
    first = next(iter(runs.values()))
    if not len(first):
        raise UserError(f"no example of the split has {target.content}; choose another --split")
    for (combination, seed), made in runs.items():
        if not (np.array_equal(made.track_ids, first.track_ids) and np.array_equal(made.true, first.true)):
            raise UserError(
                f"{combination} with seed {seed} was evaluated on other examples than the first run; "
                "choose another --name, or add --overwrite"
            )
    artists = Artists.of(first.artist_groups)
    candidates = {key: candidate_of(target, made.true, made.scores, artists) for key, made in runs.items()}
    drawn: dict[str, Any] = {}
    if artists.count > 1:
        drawn = resample({str(key): item.statistic for key, item in candidates.items()}, artists, bootstrap)
    seeds = sorted({seed for _, seed in runs})
    chosen = np.random.default_rng([bootstrap.seed, 1]).integers(0, len(seeds), (bootstrap.resamples, len(seeds)))
    rows = np.arange(bootstrap.resamples)[:, None]
    pooled = {}
    for combination in predictions:
        keys = [(combination, seed) for seed in seeds]
        values = {metric: [candidates[key].metrics[metric] for key in keys] for metric in metrics}
        resampled = {
            metric: np.column_stack([drawn[str(key)][metric] for key in keys])[rows, chosen].mean(axis=1)
            for metric in (metrics if drawn else ())
        }
        pooled[combination] = Pooled(values, resampled)
    return pooled


def baselines_table(target: Target, predictions: Mapping[Combination, Mapping[int, Predictions]]) -> str:
    """Return the main metrics of the baselines, means over the seeds, as a table."""
    rows = []
    for combination, by_seed in predictions.items():
        metrics = [epoch_metrics(target, one) for one in by_seed.values()]
        means = [
            np.mean([np.nan if row[name] is None else row[name] for row in metrics]) for name in target.main_metrics
        ]
        rows.append((*combination, *(f"{mean:.3f}" for mean in means)))
    return tabulate(rows, headers=["baseline", "inputs", *target.main_metrics], disable_numparse=True)


def compare(
    pooled: Mapping[Combination, Pooled],
    metrics: Sequence[str],
    reference: str,
    bootstrap: Bootstrap,
    baselines: Sequence[Combination] = (),
) -> list[dict[str, Any]]:
    """Return one row per combination: its metrics, and those of the reference model minus these.

    A row has ``model``, ``inputs``, ``figures`` (by metric: ``mean``, ``interval``, ``standard_deviation``,
    ``by_seed``) and ``reference_minus_this`` (by metric: ``mean``, ``interval``; None without a reference), for the
    reference model with the same inputs. ``minus_best_baseline`` is the lead over the best of the `baselines` with
    the same inputs, by the first metric: ``baseline`` and, by metric, ``mean`` and ``interval``; None for baselines.
    """
    rows = []
    for combination, own in pooled.items():
        row: dict[str, Any] = {**combination._asdict(), "figures": {}, "reference_minus_this": None}
        best = _best_baseline(pooled, baselines, combination.inputs, metrics[0])
        row["minus_best_baseline"] = None
        if best is not None and combination not in baselines:
            lead = {metric: _difference(own, pooled[best], metric, bootstrap) for metric in metrics}
            row["minus_best_baseline"] = {"baseline": best.model, **lead}
        other = pooled.get(Combination(reference, combination.inputs))
        for metric in metrics:
            row["figures"][metric] = {
                "mean": own.mean(metric),
                "interval": _interval(own.resampled.get(metric), bootstrap),
                "standard_deviation": own.standard_deviation(metric),
                "by_seed": own.by_seed[metric],
            }
        if other is not None and combination.model != reference:
            row["reference_minus_this"] = {metric: _difference(other, own, metric, bootstrap) for metric in metrics}
        rows.append(row)
    return rows


def _best_baseline(
    pooled: Mapping[Combination, Pooled], baselines: Sequence[Combination], inputs: str, metric: str
) -> Combination | None:
    sign = -1 if metric in LESS_IS_BETTER else 1
    means = {one: pooled[one].mean(metric) for one in baselines if one.inputs == inputs}
    known = {one: sign * mean for one, mean in means.items() if mean is not None}
    return max(known, key=lambda one: known[one], default=None)


def _difference(first: Pooled, second: Pooled, metric: str, bootstrap: Bootstrap) -> dict[str, Any]:
    minuend, subtrahend = first.mean(metric), second.mean(metric)
    resampled = first.resampled[metric] - second.resampled[metric] if second.resampled else None
    return {
        "mean": None if minuend is None or subtrahend is None else minuend - subtrahend,
        "interval": _interval(resampled, bootstrap),
    }


def _interval(resampled: np.ndarray | None, bootstrap: Bootstrap) -> Interval:
    return None if resampled is None else percentile_interval(resampled, bootstrap.level)
