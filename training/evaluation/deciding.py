"""The figures that models are compared and chosen by."""

from __future__ import annotations

import math
from collections.abc import Mapping

from training.data.targets import FACTORS, GENRE, POPULARITY, TAGS

MAIN_METRICS = {
    GENRE: ("macro_f1", "accuracy"),
    POPULARITY: ("macro_f1", "off_by_one_accuracy"),
    TAGS: ("macro_roc_auc", "macro_pr_auc"),
    FACTORS: ("cosine", "mean_squared_error"),
}
"""The first one decides; the second is shown beside it. By target."""

METRIC, LOSS = "metric", "loss"
BEST_BY = (METRIC, LOSS)
"""What an epoch is judged by: the target's first figure in `MAIN_METRICS`, or the loss."""

LESS_IS_BETTER = frozenset({LOSS, "log_loss", "mean_squared_error"})
"""Figures of which less is better."""


def cost_of_epoch(row: Mapping[str, float], target: str, by: str) -> float:
    """Return what an epoch is judged by, so that less is better.

    Without a validation split, or one that leaves the figure undefined, the last epoch is the best.

    Parameters
    ----------
    row : mapping
        The epoch's row of the history: ``epoch``, and ``validation_…`` figures where there is a validation split.
    target : str
        One of `training.data.targets.TARGETS`.
    by : str
        One of `BEST_BY`.

    Examples
    --------
    >>> row = {"epoch": 3, "validation_loss": 0.5, "validation_macro_f1": 0.25}
    >>> [cost_of_epoch(row, GENRE, by) for by in ("loss", "metric")], cost_of_epoch({"epoch": 3}, GENRE, "loss")
    ([0.5, -0.25], -3.0)
    """
    name = LOSS if by == LOSS else MAIN_METRICS[target][0]
    value = row.get(f"validation_{name}")
    # Whether a figure is defined depends on the split alone: it is in every epoch or in none.
    if value is None or math.isnan(value):
        return -float(row["epoch"])
    return float(value) if name in LESS_IS_BETTER else -float(value)
