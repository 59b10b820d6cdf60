"""Precision against recall of each class, from the predictions that a run keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from msd_spark.core.runs import RUNS
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Curves, Line
from msd_spark.report.section import Absent, Section
from msd_spark.report.sections.results import judged_split

MOST_CLASSES = 18
MOST_POINTS = 300
"""Points of a curve that are shipped; of a longer one, evenly chosen ones and both ends."""


def precision_recall_section(sources: Sources) -> Section | Absent:
    """Return a curve a class."""
    title = "Precision and recall"
    split = judged_split(sources.metrics)
    columns = ["true", "probabilities"]
    if sources.target == "factors":
        return Absent(title, "a run that tells factors has no classes")
    kept = sources.parquet(columns, RUNS, sources.name, "predictions", f"{split}.parquet") if split else None
    if kept is None or kept.empty:
        return Absent(title, f"models/{sources.name} keeps no predictions of a split")
    class_names = sources.class_names
    lines = precision_recall_curves(*truth(kept, class_names), class_names)
    if not lines:
        return Absent(title, f"no class has an example in {split}")
    figures = sources.metrics[str(split)]["model"]
    average = figures.get("by_class") or figures.get("by_tag") or {}
    named = tuple(Line(_with_average(line.name, average), line.x, line.y) for line in lines)
    chart = Curves(
        "precision_recall",
        f"Precision against recall, {split} split, one class against all others",
        "recall",
        "precision",
        named,
        shares=True,
        steps=True,
    )
    text = (
        "Behind each name stands its average precision. A class without examples in the split has no curve; curves of "
        "few songs are coarse. Choose a name in the legend to hide it, twice to see it alone."
    )
    more = f" The {MOST_CLASSES} classes with most songs are drawn." if len(class_names) > MOST_CLASSES else ""
    return Section("precision-recall", title, (text + more,), (chart,))


def truth(kept: pd.DataFrame, class_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return what is true and what was predicted.

    Parameters
    ----------
    kept : pandas.DataFrame
        ``true``: a class, or several of them; null where there is none. ``probabilities``: of all classes.
    class_names : sequence of str

    Returns
    -------
    true : numpy.ndarray
        Shape ``(n, classes)``, bool; of the examples that have a truth.
    probabilities : numpy.ndarray
        Shape ``(n, classes)``.
    """
    known = kept[kept["true"].notna()]
    numbers = {name: number for number, name in enumerate(class_names)}
    true = np.zeros((len(known), len(class_names)), bool)
    for row, value in enumerate(known["true"]):
        names = [value] if isinstance(value, str) else list(value)
        true[row, [numbers[name] for name in names]] = True
    probabilities = np.array(known["probabilities"].tolist(), np.float64).reshape(-1, len(class_names))
    return true, probabilities


def precision_recall_curves(true: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> list[Line]:
    """Return recall and precision of each class that has an example, those with most examples where there are many.

    Recall goes up from 0; a step's height is the precision at the recall that it ends at [1]_.

    References
    ----------
    .. [1] J. Davis, M. Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006: why the points
       are not joined by straight lines.
    """
    from sklearn.metrics import precision_recall_curve

    support = true.sum(axis=0)
    chosen = sorted(np.argsort(-support, kind="stable")[:MOST_CLASSES].tolist())
    lines = []
    for number in chosen:
        if not support[number]:
            continue
        precision, recall, _ = precision_recall_curve(true[:, number], probabilities[:, number])
        # By falling threshold, without sklearn's own first point, which is no threshold's. Of points with the same
        # recall the first is the step's height: so the area below the steps is the average precision.
        x, first = np.unique(recall[::-1][1:], return_index=True)
        y = precision[::-1][1:][first]
        if x[0] == 0:  # the highest scores belong to other classes
            x, y = x[1:], y[1:]
        x, y = np.concatenate([[0.0], x]), np.append(y, y[-1])
        places = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().astype(int))
        lines.append(Line(class_names[number], x[places].round(4).tolist(), y[places].round(4).tolist()))
    return lines


def _with_average(name: str, by_class: Mapping[str, Any]) -> str:
    figures = by_class.get(name, {})
    value = figures.get("average_precision", figures.get("pr_auc"))
    return name if value is None else f"{name} ({value:.2f})"
