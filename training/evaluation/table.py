"""Tables of metrics with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulate import tabulate

from msd_spark.core.formatting import with_interval
from training.data.targets.target import CLASSES, Target

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
"""Column headings."""


def one_class_warning(target: Target, split: str, model: Mapping[str, Any]) -> str | None:
    """Return a warning if all examples of a split have the same class."""
    if target.form != CLASSES:
        return None
    names = [name for name, row in model["by_class"].items() if row["support"] == model["examples"]]
    if not names:
        return None
    return (
        f"WARNING: all examples in {split} have the same {target.name}, {names[0]}, so accuracy, F1 and average "
        f"precision are undefined; {target.remedy_for_one_class(split)}"
    )


def metrics_table(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]], names: tuple[str, ...]) -> str:
    """Return metrics of ``metrics.json`` as a table with one row per split and candidate."""
    rows = [
        (split, candidate.replace("_", " "), own["examples"], *(with_interval(own, name) for name in names))
        for split, candidates in metrics.items()
        for candidate, own in candidates.items()
    ]
    headings = ["split", "", "examples", *(SHORT[name] for name in names)]
    return tabulate(rows, headers=headings, tablefmt="simple", disable_numparse=True)
