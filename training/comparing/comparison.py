"""Several models and inputs beside each other, each trained with several seeds: what the table of them says.

The figure of a combination is the mean over its seeds. Its interval is for both, which artists the split
happens to hold and which seeds were drawn: every resample draws artist groups with replacement and, apart from
them, seeds with replacement, and takes the mean over the drawn seeds of the figure on the drawn artists. All
combinations are judged on the same artists and the same numbers of seeds, so the interval of a difference is that
of the difference itself. Among n seeds the resamples vary by (n - 1) / n of what they should: with two seeds the
seeds' part is halved, with five it is nearly whole.

References
----------
.. [1] A. B. Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 2007: resampling two crossed factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from msd_spark.core.errors import UserError
from training.data.predictions import Predictions
from training.data.targets import Target
from training.evaluation.bootstrap import Artists, resample
from training.evaluation.judgement import candidate_of

STAGE = "compare"


@dataclass(frozen=True, order=True)
class Combination:
    """A model and what it looks at.

    Attributes
    ----------
    model, inputs : str
    """

    model: str
    inputs: str

    def __str__(self) -> str:
        """Return it as it stands in the names of runs."""
        return f"{self.model}-{self.inputs}"


def combinations(models: Sequence[str], inputs: Sequence[str]) -> list[Combination]:
    """Return every model with every input, in the order given."""
    return [Combination(model, seen) for model in models for seen in inputs]


def parse_list(option: str, text: str, choices: Sequence[str]) -> list[str]:
    """Return the names of a list with commas; ``all`` stands for every choice.

    Raises
    ------
    UserError
        When a name is none of the choices, or stands there twice.

    Examples
    --------
    >>> parse_list("--inputs", "both,audio", ("audio", "lyrics", "both"))
    ['both', 'audio']
    """
    names = list(choices) if text == "all" else [name.strip() for name in text.split(",")]
    wrong = [name for name in names if name not in choices]
    if wrong or len(set(names)) < len(names):
        what = f"{wrong[0]!r} is none" if wrong else "a name stands there twice"
        raise UserError(f"{option} is all, or a list with commas of {', '.join(choices)}; in {text!r} {what}")
    return names


@dataclass(frozen=True)
class Pooled:
    """A combination's figures over its seeds.

    Attributes
    ----------
    by_seed : dict
        By figure, its values by seed, in the seeds' order.
    resampled : dict
        By figure, shape ``(resamples,)``: the mean over drawn seeds on drawn artists.
    """

    by_seed: dict[str, list[float | None]]
    resampled: dict[str, np.ndarray]

    def mean(self, figure: str) -> float | None:
        """Return a figure's mean over the seeds; None where it is not defined for one of them."""
        values = self.by_seed[figure]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if len(defined) == len(values) else None

    def deviation(self, figure: str) -> float | None:
        """Return a figure's standard deviation over the seeds; None for a single seed."""
        defined = [value for value in self.by_seed[figure] if value is not None]
        return float(np.std(defined, ddof=1)) if len(defined) > 1 else None


def pool(
    target: Target,
    predictions: Mapping[Combination, Mapping[int, Predictions]],
    figures: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[Combination, Pooled]:
    """Judge the runs of every combination on the same resamples.

    Parameters
    ----------
    target : Target
    predictions : mapping
        By combination, by seed: on the same examples. Every combination has the same seeds.
    figures : sequence of str
        Which of the target's figures.
    bootstrap : Bootstrap

    Raises
    ------
    UserError
        When runs were judged on other examples than others, or on none.
    """
    runs = {(who, seed): made.judged() for who, of in predictions.items() for seed, made in of.items()}
    first = next(iter(runs.values()))
    if not len(first):
        raise UserError(f"no example of the split has a {target.name} to judge by")
    for (who, seed), made in runs.items():
        if not (np.array_equal(made.track_ids, first.track_ids) and np.array_equal(made.true, first.true)):
            raise UserError(f"{who} with seed {seed} was judged on other examples than the first run")
    artists = Artists.of(first.artist_groups)
    candidates = {key: candidate_of(target, made.true, made.scores, artists) for key, made in runs.items()}
    names = {key: f"{key[0]}-{key[1]}" for key in runs}
    drawn: dict[str, Any] = {}
    if artists.count > 1:
        drawn = resample({names[key]: item.statistic for key, item in candidates.items()}, artists, bootstrap)
    seeds = sorted({seed for _, seed in runs})
    chosen = np.random.default_rng([bootstrap.seed, 1]).integers(0, len(seeds), (bootstrap.resamples, len(seeds)))
    rows = np.arange(bootstrap.resamples)[:, None]
    pooled = {}
    for who in predictions:
        resampled = {}
        for figure in figures if drawn else ():
            by_seed = np.column_stack([drawn[names[who, seed]][figure] for seed in seeds])
            resampled[figure] = by_seed[rows, chosen].mean(axis=1)
        values = {figure: [candidates[who, seed].metrics[figure] for seed in seeds] for figure in figures}
        pooled[who] = Pooled(values, resampled)
    return pooled


def compare(
    pooled: Mapping[Combination, Pooled], figures: Sequence[str], reference: str, bootstrap: Bootstrap
) -> list[dict[str, Any]]:
    """Return a row a combination: its figures with intervals, and how far the reference model is ahead of it.

    Parameters
    ----------
    pooled : mapping
        As `pool` gives it.
    figures : sequence of str
    reference : str
        A model; each combination is compared with this model on the same inputs, where that is there.
    bootstrap : Bootstrap

    Returns
    -------
    list of dict
        ``model``, ``inputs``, ``figures`` (each with ``mean``, ``interval``, ``deviation`` over the seeds and
        ``by_seed``) and ``reference_minus_this`` (each figure's ``mean`` and ``interval``; None where there is
        nothing to compare with).
    """
    rows = []
    for who, mine in pooled.items():
        other = pooled.get(Combination(reference, who.inputs)) if who.model != reference else None
        row: dict[str, Any] = {"model": who.model, "inputs": who.inputs, "figures": {}, "reference_minus_this": None}
        for figure in figures:
            row["figures"][figure] = {
                "mean": mine.mean(figure),
                "interval": _interval(mine.resampled.get(figure), bootstrap),
                "deviation": mine.deviation(figure),
                "by_seed": mine.by_seed[figure],
            }
        if other is not None:
            row["reference_minus_this"] = {
                figure: {
                    "mean": _difference(other.mean(figure), mine.mean(figure)),
                    "interval": _interval(
                        other.resampled[figure] - mine.resampled[figure] if mine.resampled else None, bootstrap
                    ),
                }
                for figure in figures
            }
        rows.append(row)
    return rows


def _interval(resampled: np.ndarray | None, bootstrap: Bootstrap) -> list[float] | None:
    return None if resampled is None else percentile_interval(resampled, bootstrap.level)


def _difference(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second
