"""Precision-recall curves of each class, from the predictions that a run saves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve
from sklearn.preprocessing import MultiLabelBinarizer

from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Line, curves
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.sections.results import by_class_of, final_split

MOST_CLASSES = 18
MOST_POINTS = 300
"""Points per curve; of a longer one, evenly spaced points and both ends."""


def precision_recall_section(sources: Sources) -> Section:
    """Return one curve per class."""
    split = final_split(sources.metrics)
    if sources.target == "factors":
        raise NoContentError("the target factors has no classes")
    path = sources.run_file("predictions", f"{split}.parquet")
    predictions = sources.parquet(["true", "probabilities"], *path) if split else None
    if split is None or predictions is None or predictions.empty:
        raise NoContentError(f"models/{sources.name} has no predictions")
    class_names = sources.class_names
    lines = precision_recall_curves(*truth(predictions, class_names), class_names)
    if not lines:
        raise NoContentError(f"no class has an example in {split}")
    names = {}
    for name, metrics in by_class_of(sources.metrics[split]["model"]).items():
        value = metrics.get("average_precision", metrics.get("pr_auc"))
        names[name] = name if value is None else f"{name} ({value:.2f})"
    chart = curves(
        "precision_recall",
        f"Precision against recall, {split} split, one class against all others",
        "recall",
        "precision",
        [Line(names.get(line.name, line.name), line.x, line.y) for line in lines],
        unit_y=True,
        steps=True,
    )
    text = (
        "Average precision in parentheses. A class without examples in the split has no curve; curves of few songs "
        "are coarse. Click a name in the legend to hide it, double-click to isolate it."
    )
    more = f" The {MOST_CLASSES} largest classes are shown." if len(class_names) > MOST_CLASSES else ""
    return Section((text + more,), (chart,))


def truth(predictions: pd.DataFrame, class_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, bool, and probabilities of labelled examples, shape ``(n, classes)`` each."""
    labelled = predictions[predictions["true"].notna()]
    names = [[value] if isinstance(value, str) else list(value) for value in labelled["true"]]
    true = MultiLabelBinarizer(classes=class_names).fit_transform(names).astype(bool)
    probabilities = np.array(labelled["probabilities"].tolist(), np.float64).reshape(-1, len(class_names))
    return true, probabilities


def precision_recall_curves(true: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> list[Line]:
    """Return precision against recall of the `MOST_CLASSES` largest classes with an example.

    The area below the steps is the average precision; points are not joined by straight lines [1]_.

    References
    ----------
    .. [1] J. Davis, M. Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006.
    """
    support = true.sum(axis=0)
    largest = sorted(np.argsort(-support, kind="stable")[:MOST_CLASSES].tolist())
    lines = []
    for number in largest:
        if not support[number]:
            continue
        precision, recall, _ = precision_recall_curve(true[:, number], probabilities[:, number])
        x, first = np.unique(recall[::-1], return_index=True)
        y = precision[::-1][[*first[1:], first[-1]]]  # the precision at recall 0 is a convention
        places = np.unique(np.linspace(0, len(x) - 1, min(len(x), MOST_POINTS)).round().astype(int))
        lines.append(Line(class_names[number], x[places].round(4).tolist(), y[places].round(4).tolist()))
    return lines
