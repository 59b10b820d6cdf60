"""Metrics with intervals and baselines, by class, calibration and confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msd_spark.core.formatting import with_interval
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Chart, Interval, Line, confusion_matrix, curves, intervals
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.tables import Table

METRICS = (
    "accuracy", "balanced_accuracy", "off_by_one_accuracy", "macro_f1", "weighted_f1", "macro_average_precision",
    "macro_roc_auc", "macro_pr_auc", "log_loss", "expected_calibration_error", "spearman", "cosine",
    "mean_squared_error", "r2",
)  # fmt: skip
"""Metrics of the report, in this order, where a run's target has them."""

OF_CLASSES = ("support", "precision", "recall", "f1", "average_precision", "roc_auc", "mean_squared_error", "r2")
UNBOUNDED = {"log_loss", "mean_squared_error"}
MODEL = "model"
READABLE = {
    "roc auc": "ROC-AUC", "pr auc": "PR-AUC", " f1": " F1", "r2": "R²", "ndcg@": "NDCG@", "map@": "mAP@",
    "recall@": "Recall@",
}  # fmt: skip
HEADLINES = {"tags": ("macro_roc_auc", "macro_pr_auc"), "factors": ("cosine", "r2")}
"""Key metrics by target; accuracy and macro F1 for others."""


def headlines(target: str) -> tuple[str, ...]:
    """Return the key metrics of a target."""
    return HEADLINES.get(target, ("accuracy", "macro_f1"))


def readable(name: str) -> str:
    """Return the name of a metric or baseline for readers.

    Examples
    --------
    >>> readable("macro_roc_auc"), readable("f1"), readable("ndcg@100")
    ('macro ROC-AUC', 'F1', 'NDCG@100')
    """
    text = f" {name}".replace("_", " ")
    for part, shown in READABLE.items():
        text = text.replace(part, shown)
    return text.strip()


def final_split(metrics: Mapping[str, Any]) -> str | None:
    """Return the split to report: test, or otherwise the last one."""
    return "test" if "test" in metrics else next(reversed(list(metrics)), None)


def by_class_of(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metrics by class or tag; empty if there are none."""
    return model.get("by_class") or model.get("by_tag") or {}


def metrics_table(name: str, title: str, metrics: Mapping[str, Any], names: Sequence[str]) -> Table:
    """Return one row per split and model or baseline, with the interval of each metric."""
    rows = tuple(
        (split, readable(model), row["examples"], row.get("artists"), *(with_interval(row, name) for name in names))
        for split, by_model in metrics.items()
        for model, row in by_model.items()
    )
    heads = ("split", "model or baseline", "examples", "artists", *map(readable, names))
    return Table(name, title, heads, rows)


def results_section(sources: Sources) -> Section:
    """Return metrics with intervals, beside baselines."""
    metrics, split = sources.metrics, final_split(sources.metrics)
    if split is None:
        raise NoContentError(f"models/{sources.name} has no metrics.json")
    names = [name for name in METRICS if any(name in by_model[MODEL] for by_model in metrics.values())]
    tables = [metrics_table("results", "All splits", metrics, names)]
    model = metrics[split][MODEL]
    by_class = by_class_of(model)
    heads = [name for name in OF_CLASSES if any(name in row for row in by_class.values())]
    if heads:
        rows = tuple((name, *(row.get(head) for head in heads)) for name, row in by_class.items())
        tables.append(Table("by_class", f"By class, {split} split", ("class", *map(readable, heads)), rows))
    charts = [_beside_baselines(metrics[split], names, split), *_calibration(model.get("reliability") or [], split)]
    text = "Brackets and bars are 95 % intervals from resamples of artists; a dash marks an undefined metric."
    return Section((text, *split_note(sources)), tuple(charts), tuple(tables))


def split_note(sources: Sources) -> list[str]:
    """Return whether artists are in several splits; empty if the split rule is unknown."""
    rule = (sources.run.get("dataset") or {}).get("split_rule", {}).get("by")
    if not rule:
        return []
    if rule == "artist":
        return ["Split by artist: no artist is in two splits."]
    return [f"Split by {rule}: an artist may be in several splits, which makes these metrics too optimistic."]


def chance_warning(metrics: Mapping[str, Any], split: str) -> str | None:
    """Return a warning if the accuracy is undefined or not above guessing, otherwise None.

    Examples
    --------
    >>> model = {"accuracy": 0.11, "intervals": {"accuracy": [0.07, 0.14]}}
    >>> chance_warning({"model": model, "stratified": {"accuracy": 0.1}}, "test")
    'Accuracy on the test split, .110 [.070, .140], is not significantly above guessing (.100).'
    >>> chance_warning({"model": model, "stratified": {"accuracy": 0.05}}, "test") is None
    True
    """
    if metrics[MODEL].get("accuracy", 0) is None:
        return f"All examples in the {split} split have the same class, so most metrics are undefined."
    interval = metrics[MODEL].get("intervals", {}).get("accuracy")
    guesses = [
        metrics[guess]["accuracy"] for guess in ("majority", "stratified") if "accuracy" in metrics.get(guess, {})
    ]
    if not interval or not guesses or interval[0] > max(guesses):
        return None
    guessing = f"{max(guesses):.3f}".removeprefix("0")
    accuracy = with_interval(metrics[MODEL], "accuracy")
    return f"Accuracy on the {split} split, {accuracy}, is not significantly above guessing ({guessing})."


def _beside_baselines(metrics: Mapping[str, Any], names: Sequence[str], split: str) -> Chart:
    bounded = [name for name in names if name not in UNBOUNDED]

    def point(row: Mapping[str, Any], name: str) -> Interval:
        low, high = row.get("intervals", {}).get(name) or (None, None)
        return row.get(name), low, high

    series = {readable(model): [point(row, name) for name in bounded] for model, row in metrics.items()}
    title = f"Model and baselines, {split} split, with 95 % intervals"
    return intervals("results", title, "", tuple(map(readable, bounded)), series)


def _calibration(reliability: Sequence[Mapping[str, Any]], split: str) -> list[Chart]:
    if not reliability:
        return []
    line = Line("model", [row["confidence"] for row in reliability], [row["accuracy"] for row in reliability])
    title = f"Calibration, {split} split: accuracy by predicted probability"
    labels = ("mean probability of the predicted class", "accuracy")
    return [curves("calibration", title, *labels, [line], unit_y=True, diagonal=True, markers=True)]


def confusion_section(sources: Sources) -> Section:
    """Return the confusion matrix as counts and as shares of each true class."""
    split = final_split(sources.metrics)
    model = sources.metrics.get(split, {}).get(MODEL, {}) if split else {}
    if "confusion_matrix" not in model:
        raise NoContentError(f"the target {sources.target} has no confusion matrix")
    classes, counts = tuple(model["by_class"]), model["confusion_matrix"]
    rows = tuple((name, *map(int, row)) for name, row in zip(classes, counts, strict=True))
    table = Table("confusion", "Counts as a table", ("true \\ predicted", *classes), rows, folded=True)
    text = "Rows are true classes, columns predicted ones. Colour is the share of the true class in both."
    return Section((text,), confusion_charts(classes, counts, str(split)), (table,))


def confusion_charts(classes: Sequence[str], matrix: Sequence[Sequence[float]], split: str) -> tuple[Chart, Chart]:
    """Return the confusion matrix as counts and as shares of each row, 0 for an empty row."""
    counts = np.array(matrix, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    def chart(name: str, title: str, values: np.ndarray, form: str) -> Chart:
        texts = [[format(value, form) if value else "" for value in row] for row in values]
        return confusion_matrix(name, f"{title}, {split} split", classes, shares, texts)

    return (
        chart("confusion_counts", "Songs", counts, ".0f"),
        chart("confusion_shares", "Share of the true class", shares, ".2f"),
    )
