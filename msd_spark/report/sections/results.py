"""How good the run is: figures with intervals beside baselines, by class, calibration, and what it takes for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from msd_spark.core.formatting import with_interval
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Curves, Intervals, Line, Matrix
from msd_spark.report.section import Absent, Section
from msd_spark.report.tables import Table

FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "off_by_one_accuracy",
    "macro_f1",
    "weighted_f1",
    "macro_average_precision",
    "macro_roc_auc",
    "macro_pr_auc",
    "log_loss",
    "expected_calibration_error",
    "spearman",
    "cosine",
    "mean_squared_error",
    "r2",
)
"""Figures that the page shows, in this order, where a run's target has them."""

OF_CLASSES = ("support", "precision", "recall", "f1", "average_precision", "roc_auc", "mean_squared_error", "r2")
UNBOUNDED = {"log_loss", "mean_squared_error"}
MODEL = "model"


def readable(name: str) -> str:
    """Return a figure's name as people read it.

    Examples
    --------
    >>> readable("macro_roc_auc"), readable("f1")
    ('macro ROC-AUC', 'F1')
    """
    text = f" {name}".replace("_", " ").replace("roc auc", "ROC-AUC").replace("pr auc", "PR-AUC")
    return text.replace(" f1", " F1").replace("r2", "R²").strip()


def judged_split(metrics: Mapping[str, Any]) -> str | None:
    """Return the split whose figures count: test, or the last one that there is."""
    return "test" if "test" in metrics else next(reversed(list(metrics)), None)


def results_section(sources: Sources) -> Section | Absent:
    """Return figures with intervals, beside baselines."""
    title = "Results"
    metrics, split = sources.metrics, judged_split(sources.metrics)
    if split is None:
        return Absent(title, f"models/{sources.name} has no metrics.json")
    names = [name for name in FIGURES if any(name in judged["model"] for judged in metrics.values())]
    who_heads = ("split", "who", "examples", "artists")
    rows = [
        (
            where,
            who.replace("_", " "),
            figures["examples"],
            figures.get("artists"),
            *(with_interval(figures, name) for name in names),
        )
        for where, judged in metrics.items()
        for who, figures in judged.items()
    ]
    tables = [Table("results", "Every split", (*who_heads, *map(readable, names)), tuple(rows), texts=2)]
    by_class = metrics[split][MODEL].get("by_class") or metrics[split][MODEL].get("by_tag") or {}
    heads = [name for name in OF_CLASSES if any(name in figures for figures in by_class.values())]
    if heads:
        told = tuple((name, *(figures.get(head) for head in heads)) for name, figures in by_class.items())
        tables.append(Table("by_class", f"By class, {split} split", ("", *map(readable, heads)), told))
    charts: list[Any] = [_beside_baselines(metrics[split], names, split)]
    calibration = _calibration(metrics[split][MODEL].get("reliability") or [], split)
    text = [
        f"Target: {sources.target}. Brackets and bars are 95 % intervals from resamples of whole artists; "
        "a dash marks a figure that is not defined.",
    ]
    remark = remark_on_chance(metrics[split], split)
    if remark:
        text.append(remark)
    rule = (sources.run.get("dataset") or {}).get("split_rule", {}).get("by")
    if rule:
        text.append(
            "Splits are by artist: no artist of one split is in another."
            if rule == "artist"
            else f"Splits are by {rule}: artists may be in several, which flatters these figures."
        )
    return Section("results", title, tuple(text), tuple(filter(None, [*charts, calibration])), tuple(tables))


def remark_on_chance(judged: Mapping[str, Any], split: str) -> str | None:
    """Return a warning where a model's accuracy is not told apart from that of guessing; None where it is.

    Parameters
    ----------
    judged : mapping
        Figures with intervals by who has them: ``model``, and ``majority`` or ``stratified`` for guessing.
    split : str
        Which split they are of.

    Examples
    --------
    >>> model = {"accuracy": 0.11, "intervals": {"accuracy": [0.07, 0.14]}}
    >>> remark_on_chance({"model": model, "stratified": {"accuracy": 0.1}}, "test")
    'On the test split its accuracy, .110 [.070, .140], is not told apart from guessing (.100).'
    >>> remark_on_chance({"model": model, "stratified": {"accuracy": 0.05}}, "test") is None
    True
    """
    model = judged[MODEL]
    interval = model.get("intervals", {}).get("accuracy")
    guesses = [
        judged[who]["accuracy"] for who in ("majority", "stratified") if who in judged and "accuracy" in judged[who]
    ]
    if not interval or not guesses or interval[0] > max(guesses):
        return None
    guessing = f"{max(guesses):.3f}".removeprefix("0")
    return (
        f"On the {split} split its accuracy, {with_interval(model, 'accuracy')}, is not told apart from guessing "
        f"({guessing})."
    )


def _beside_baselines(judged: Mapping[str, Any], names: list[str], split: str) -> Intervals:
    bounded = [name for name in names if name not in UNBOUNDED]
    series = {}
    for who, figures in judged.items():
        intervals = figures.get("intervals", {})
        series[who.replace("_", " ")] = tuple(
            (figures.get(name), *(intervals.get(name) or (None, None))) for name in bounded
        )
    return Intervals(
        "results",
        f"The model and its baselines, {split} split, with 95 % intervals",
        "",
        "",
        tuple(map(readable, bounded)),
        series,
    )


def _calibration(reliability: list[dict[str, Any]], split: str) -> Curves | None:
    if not reliability:
        return None
    line = Line("model", [row["confidence"] for row in reliability], [row["accuracy"] for row in reliability])
    return Curves(
        "calibration",
        f"Calibration, {split} split: how often it is right, by how sure it is",
        "mean probability of the predicted class",
        "share that is right",
        (line,),
        shares=True,
        diagonal=True,
        markers=True,
    )


def confusion_section(sources: Sources) -> Section | Absent:
    """Return the confusion matrix: counts, and shares of each true class."""
    title = "What it takes for what"
    split = judged_split(sources.metrics)
    model = sources.metrics.get(split, {}).get(MODEL, {}) if split else {}
    if "confusion_matrix" not in model:
        return Absent(title, f"a run that tells {sources.target} has no confusion matrix")
    counts, shares = confusion(model, str(split))
    heads = ("true \\ predicted", *counts.columns)
    rows = tuple((name, *map(int, row)) for name, row in zip(counts.rows, model["confusion_matrix"], strict=True))
    text = "Rows are true, columns predicted. Colour is the share of the true class in both."
    return Section(
        "confusion",
        title,
        (text,),
        (counts, shares),
        (Table("confusion", "Counts as a table", heads, rows, folded=True),),
    )


def confusion(model: Mapping[str, Any], split: str) -> tuple[Matrix, Matrix]:
    """Return the confusion matrix as counts and as shares of each row; a class without examples has shares of 0."""
    counts = np.array(model["confusion_matrix"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names, values = tuple(model["by_class"]), tuple(map(tuple, shares.tolist()))
    texts = (
        tuple(tuple(str(int(value)) if value else "" for value in row) for row in counts),
        tuple(tuple(f"{value:.2f}" if value else "" for value in row) for row in shares),
    )
    return (
        Matrix("confusion_counts", f"Songs, {split} split", "predicted", "true", names, names, values, texts[0]),
        Matrix(
            "confusion_shares",
            f"Share of the true class, {split} split",
            "predicted",
            "true",
            names,
            names,
            values,
            texts[1],
        ),
    )
