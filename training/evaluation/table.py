"""Figures as people read them: a row a candidate, each figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

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


def number(value: float | None) -> str:
    """Return a figure with three decimals, without the zero before the point; a dash where it is not defined.

    Examples
    --------
    >>> number(0.6264), number(1.0), number(-0.05), number(None)
    ('.626', '1.000', '-.050', '–')
    """
    if value is None:
        return "–"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def with_interval(figures: Mapping[str, Any], name: str) -> str:
    """Return a figure with its interval.

    Examples
    --------
    >>> with_interval({"accuracy": 0.626, "intervals": {"accuracy": [0.571, 0.672]}}, "accuracy")
    '.626 [.571, .672]'
    """
    text = number(figures.get(name))
    interval = figures.get("intervals", {}).get(name)
    if interval is None or figures.get(name) is None:
        return text
    return f"{text} [{number(interval[0])}, {number(interval[1])}]"


def figures_table(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]], names: tuple[str, ...]) -> str:
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
