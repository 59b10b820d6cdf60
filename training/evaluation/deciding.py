"""The metrics by which models are compared and epochs chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping

from training.data.targets.target import Target

METRIC, LOSS = "metric", "loss"
BEST_BY = (METRIC, LOSS)
"""Values of ``--best-by``: the first of the target's `main_metrics`, or the loss."""

LESS_IS_BETTER = frozenset({LOSS, "log_loss", "mean_squared_error"})


def cost_of_epoch(row: Mapping[str, float], target: Target | type[Target], by: str | None) -> float:
    """Return the cost of an epoch, given its row of the history: the best epoch has the lowest.

    `by` is one of `BEST_BY`, the metric if it is None. If there is no validation split, or its metric is undefined,
    the last epoch is the best.

    Examples
    --------
    >>> from training.data.targets.genre import Genre
    >>> row = {"epoch": 3, "validation_loss": 0.5, "validation_macro_f1": 0.25}
    >>> [cost_of_epoch(row, Genre, by) for by in ("loss", "metric")], cost_of_epoch({"epoch": 3}, Genre, "loss")
    ([0.5, -0.25], -3.0)
    """
    name = LOSS if by == LOSS else target.main_metrics[0]
    value = row.get(f"validation_{name}")
    # Whether a metric is defined depends only on the split, so it is the same in all epochs.
    if value is None or math.isnan(value):
        return -float(row["epoch"])
    return float(value) if name in LESS_IS_BETTER else -float(value)
