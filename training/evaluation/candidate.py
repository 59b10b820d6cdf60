"""What is judged: the model, or a baseline beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from training.evaluation.bootstrap import Artists, Statistic, resample


@dataclass(frozen=True)
class Candidate:
    """Figures on a split, and how to compute the headlines among them anew on a resample.

    Attributes
    ----------
    figures : dict
        As they go into ``metrics.json``: numbers, None where one is not defined, lists and dicts of these.
    statistic : Statistic
    notes : dict
        What one must know of how it came about: a baseline's settings.
    """

    figures: dict[str, Any]
    statistic: Statistic
    notes: dict[str, Any] = field(default_factory=dict)


def with_intervals(candidates: dict[str, Candidate], artists: Artists, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return each candidate's figures with ``intervals``, and how far the first one is ahead of the others.

    Every candidate is judged on the same resamples, so ``first_minus_this`` holds the interval of the
    difference itself: the first candidate is better than chance allows where both bounds have one sign.
    A single artist cannot be resampled; then there are no intervals.

    Parameters
    ----------
    candidates : dict
        The model first.
    artists : Artists
    bootstrap : Bootstrap
    """
    if artists.count < 2:
        return {name: candidate.figures | candidate.notes | {"intervals": {}} for name, candidate in candidates.items()}
    resampled = resample({name: item.statistic for name, item in candidates.items()}, artists, bootstrap)
    first, *_ = candidates
    judged = {}
    for name, candidate in candidates.items():
        mine = resampled[name]
        figures = candidate.figures | candidate.notes
        figures["intervals"] = {figure: percentile_interval(values, bootstrap.level) for figure, values in mine.items()}
        if name != first:
            figures["first_minus_this"] = {
                figure: percentile_interval(values - mine[figure], bootstrap.level)
                for figure, values in resampled[first].items()
                if figure in mine
            }
        judged[name] = figures
    return judged
