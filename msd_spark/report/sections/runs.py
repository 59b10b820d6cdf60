"""A run beside others: comparisons, the protocol of 2019, and every finished run of the same target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msd_spark.core.formatting import number, with_interval
from msd_spark.core.runs import METADATA, METRICS, RUNS
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Intervals
from msd_spark.report.section import Absent, Section
from msd_spark.report.sections.results import readable
from msd_spark.report.tables import Table

COMPARISONS = "comparisons"
BELIEVED = {
    "validation": ("no", "cut off after drawing with replacement: its rows are copies of rows trained on"),
    "test": ("partly", "held-out tracks; their artists were trained on"),
    "artist_disjoint": ("yes", "no artist took part in training"),
}
"""Of a run under the protocol of 2019: whether to believe a split's figures, and why."""

HEADLINES = {
    "tags": ("macro_roc_auc", "macro_pr_auc"),
    "factors": ("cosine", "r2"),
}
"""Figures of a run in a list of runs, by target; of others accuracy and macro F1."""


def comparison_section(sources: Sources) -> Section | Absent:
    """Return the tables of ``comparisons/``."""
    title = "Models and inputs compared"
    charts, tables, text = [], [], []
    for name in sources.named(COMPARISONS, "comparison.json"):
        comparison = sources.json(COMPARISONS, name, "comparison.json")
        charts.append(comparison_chart(name, comparison))
        tables.append(comparison_table(name, comparison))
        text.append(
            f"{name}: means over {len(comparison['seeds'])} seeds; intervals are over artists and seeds. The reference "
            f"is {comparison['reference']}: where the interval of its lead holds 0, the two are not told apart."
        )
    if not charts:
        return Absent(title, f"there is nothing in {COMPARISONS}/; training/compare.py trains models side by side")
    return Section("comparisons", title, tuple(text), tuple(charts), tuple(tables))


def comparison_chart(name: str, comparison: Mapping[str, Any]) -> Intervals:
    """Return the main figure of every model and input, with its interval."""
    main = comparison["figures"][0]
    inputs = list(dict.fromkeys(row["inputs"] for row in comparison["rows"]))
    models = tuple(dict.fromkeys(row["model"] for row in comparison["rows"]))
    known = {(row["model"], row["inputs"]): row["figures"][main] for row in comparison["rows"]}
    series: dict[str, Any] = {}
    for seen in inputs:
        figures = [known.get((model, seen)) or {"mean": None, "interval": None} for model in models]
        series[seen] = tuple((figure["mean"], *(figure["interval"] or (None, None))) for figure in figures)
    return Intervals(f"comparison_{name}", f"{name}: {readable(main)}", readable(main), "", models, series)


def comparison_table(name: str, comparison: Mapping[str, Any]) -> Table:
    """Return a row a model and input, and the baselines."""
    main, other = comparison["figures"]
    heads = ("model", "inputs", readable(main), "± over seeds", readable(other),
             f"{comparison['reference']} minus this", "parameters", "epochs", "seconds")  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for row in comparison["rows"]:
        lead = row["reference_minus_this"]
        rows.append(
            (row["model"], row["inputs"], _spread(row["figures"][main]), number(row["figures"][main]["deviation"]),
             _spread(row["figures"][other]), _spread(lead[main]) if lead else "", row.get("parameters"),
             row.get("epochs"), row.get("seconds"))
        )  # fmt: skip
    for who, figures in comparison.get("baselines", {}).items():
        rows.append((who, "", with_interval(figures, main), "", with_interval(figures, other), "", None, None, None))
    return Table(f"comparison_{name}", name, heads, tuple(rows), 100, texts=2)


def _spread(figure: Mapping[str, Any]) -> str:
    interval = {"figure": figure["interval"]} if figure["interval"] else {}
    return with_interval({"figure": figure["mean"], "intervals": interval}, "figure")


def _runs(sources: Sources) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, metadata and metrics of every finished run of the same target that was judged."""
    for name in sources.finished_runs():
        metadata, metrics = sources.json(RUNS, name, METADATA), sources.json(RUNS, name, METRICS)
        if metrics and metadata["target"]["name"] == sources.target:
            yield name, metadata, metrics


def protocol_section(sources: Sources) -> Section | Absent:
    """Return the runs under the protocol of 2019: three figures each, and which to believe."""
    rows = []
    for name, metadata, metrics in _runs(sources):
        if not metadata.get("arguments", {}).get("protocol"):
            continue
        for split, judged in metrics.items():
            believe, why = BELIEVED.get(split, ("", ""))
            figures = judged["model"]
            told = (with_interval(figures, "accuracy"), with_interval(figures, "macro_f1"), figures["examples"])
            rows.append((name, split, believe, *told, why))
    title = "The experiment of 2019, repeated"
    if not rows:
        return Absent(title, "no run was trained with --protocol 2019")
    heads = ("run", "split", "believe it", "accuracy", "macro F1", "examples", "why")
    return Section("protocol", title, tables=(Table("protocol_2019", "Which figure to believe", heads, tuple(rows)),))


def runs_section(sources: Sources) -> Section | Absent:
    """Return every other finished run of the same target with its test figures."""
    title = "Every run"
    figures = HEADLINES.get(sources.target, ("accuracy", "macro_f1"))
    rows = []
    for name, metadata, metrics in _runs(sources):
        split = "artist_disjoint" if "artist_disjoint" in metrics else "test"
        if split not in metrics:
            continue
        model, dataset = metrics[split]["model"], metadata.get("dataset") or {}
        rows.append(
            (f"{name} (this run)" if name == sources.name else name, metadata.get("model"),
             metadata.get("arguments", {}).get("inputs"), dataset.get("name"), dataset.get("split_rule", {}).get("by"),
             split, model["examples"], *(with_interval(model, figure) for figure in figures))
        )  # fmt: skip
    if len(rows) < 2:
        return Absent(title, f"this is the only finished run for {sources.target}")
    heads = ("run", "model", "inputs", "dataset", "parted by", "judged on", "examples", *map(readable, figures))
    text = "Figures of other datasets, or parted otherwise, are no more than beside each other."
    return Section("runs", title, (text,), tables=(Table("runs", "Finished runs", heads, tuple(rows), 60, texts=6),))
