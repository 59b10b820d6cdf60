"""Figures as people read them: a row a candidate, each figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.formatting import with_interval

SHORT = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.",
    "off_by_one_accuracy": "off by one",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "macro_average_precision": "macro AP",
    "log_loss": "log loss",
    "macro_roc_auc": "macro ROC-AUC",
    "macro_pr_auc": "macro PR-AUC",
    "cosine": "cosine",
    "mean_squared_error": "MSE",
    "r2": "R²",
}
"""What a figure is called at the head of a column."""


def metrics_table(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]], names: tuple[str, ...]) -> str:
    """Return the figures of each split's candidates as a table.

    Parameters
    ----------
    metrics : mapping
        As ``metrics.json`` holds them: by split, by candidate.
    names : tuple of str
        The figures shown.
    """
    rows = [
        (split, who.replace("_", " "), figures["examples"], *(with_interval(figures, name) for name in names))
        for split, candidates in metrics.items()
        for who, figures in candidates.items()
    ]
    heads = ["split", "", "examples", *(SHORT[name] for name in names)]
    return tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True)
