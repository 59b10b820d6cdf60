"""A run beside others: comparisons, the protocol of 2019, and runs of the same target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msd_spark.core import original_2019
from msd_spark.core.formatting import mean_with_interval, number, with_interval
from msd_spark.core.original_2019 import beside_original, confused_pairs
from msd_spark.core.runs import COMPARISONS, HISTORY, METADATA, METRICS, RUNS, finished_runs
from msd_spark.core.warehouse import FOLDER
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Chart, Interval, Line, curves, intervals
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.sections.curves import precision_recall_curves, truth
from msd_spark.report.sections.results import MODEL, headlines, readable
from msd_spark.report.tables import Table

RELIABLE = {
    "validation": ("no", "split after drawing with replacement: its rows are copies of training rows"),
    "test": ("partly", "held-out tracks, but their artists are in the train split"),
    "artist_disjoint": ("yes", "no artist is in the train split"),
}
"""Whether the metrics of a split under the protocol of 2019 are reliable, and why."""


def comparison_section(sources: Sources) -> Section:
    """Return the tables of ``comparisons/``."""
    charts, tables, text = [], [], []
    for name in sources.named(COMPARISONS, "comparison.json"):
        comparison = sources.json(COMPARISONS, name, "comparison.json")
        charts.append(comparison_chart(name, comparison))
        tables.append(comparison_table(name, comparison))
        text.append(
            f"{name}: means over {len(comparison['seeds'])} seeds, intervals over artists and seeds. The reference is "
            f"{comparison['reference']}; a difference is not significant if its interval includes 0."
        )
    if not charts:
        raise NoContentError(f"{COMPARISONS}/ is empty; run msd-spark compare")
    return Section(tuple(text), tuple(charts), tuple(tables))


def comparison_chart(name: str, comparison: Mapping[str, Any]) -> Chart:
    """Return the main metric of every model and input, with its interval."""
    main = comparison["figures"][0]
    models = tuple(dict.fromkeys(row["model"] for row in comparison["rows"]))
    series: dict[str, list[Interval]] = {}
    for row in comparison["rows"]:
        metric = row["figures"][main]
        low, high = metric["interval"] or (None, None)
        points = series.setdefault(row["inputs"], [(None, None, None)] * len(models))
        points[models.index(row["model"])] = (metric["mean"], low, high)
    return intervals(f"comparison_{name}", f"{name}: {readable(main)}", readable(main), models, series)


def comparison_table(name: str, comparison: Mapping[str, Any]) -> Table:
    """Return one row per model and input, and one per baseline."""
    main, other = comparison["figures"]
    heads = ("model", "inputs", readable(main), "standard deviation over seeds", readable(other),
             "minus best baseline",
             f"{comparison['reference']} minus this", "parameters", "epochs", "seconds")  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for row in comparison["rows"]:
        metrics, lead = row["figures"], row["reference_minus_this"]
        over = row.get("minus_best_baseline")
        rows.append(
            (row["model"], row["inputs"], mean_with_interval(metrics[main]),
             number(metrics[main]["standard_deviation"]), mean_with_interval(metrics[other]),
             mean_with_interval(over[main]) if over else "",
             mean_with_interval(lead[main]) if lead else "", row.get("parameters"), row.get("epochs"),
             row.get("seconds"))
        )  # fmt: skip
    for baseline, metrics in comparison.get("baselines", {}).items():
        rows.append(
            (baseline, "", with_interval(metrics, main), "", with_interval(metrics, other), "", "", None, None, None)
        )
    return Table(f"comparison_{name}", name, heads, tuple(rows), 100)


def _runs(sources: Sources) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, metadata and metrics of every finished run of the same target."""
    for name in sorted(finished_runs(sources.warehouse)):
        metadata = sources.json(RUNS, name, METADATA)
        if FOLDER in metadata and metadata["target"]["name"] == sources.target:  # older versions named no folder
            yield name, metadata, sources.json(RUNS, name, metadata[FOLDER], METRICS) or {}


def protocol_section(sources: Sources) -> Section:
    """Return runs under the protocol of 2019: metrics next to the original, and curves."""
    runs = {
        name: (metadata, metrics)
        for name, metadata, metrics in _runs(sources)
        if metadata.get("arguments", {}).get("protocol")
    }
    if not runs:
        raise NoContentError("no run was trained with --protocol 2019")
    rows, pairs = [], []
    for name, (metadata, metrics) in runs.items():
        for split, by_model in metrics.items():
            reliable, reason = RELIABLE.get(split, ("", ""))
            model = by_model[MODEL]
            values = (with_interval(model, "accuracy"), with_interval(model, "macro_f1"), model["examples"])
            rows.append((name, split, reliable, *values, reason))
            pairs.append((name, split, ", ".join(confused_pairs(model["confusion_matrix"], metadata["labels"]))))
    tables = (
        Table(
            "protocol_2019",
            "Which metrics are reliable",
            ("run", "split", "reliable", "accuracy", "macro F1", "examples", "reason"),
            tuple(rows),
        ),
        Table("protocol_2019_original", "Next to the original project", original_2019.HEADS,
              tuple(beside_original(runs))),
        Table("protocol_2019_confused", "Most confused genres: true → predicted, songs",
              ("run", "split", "confused genres"), tuple(pairs)),
    )  # fmt: skip
    return Section((original_2019.NOTE,), tuple(_protocol_charts(sources, runs)), tables)


def _protocol_charts(
    sources: Sources, runs: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Iterator[Chart]:
    """Yield accuracy per epoch, and micro-averaged precision against recall for each split."""
    lines = []
    for name, (metadata, _) in runs.items():
        history = sources.json(RUNS, name, metadata[FOLDER], HISTORY) or []
        for split in ("train", "validation"):
            values = [row.get(f"{split}_accuracy") for row in history]
            lines.append(Line(f"{name}: {split}", [row["epoch"] for row in history], values))
    title = "Accuracy on training rows and validation rows"
    yield curves("protocol_2019_accuracy", title, "epoch", "accuracy", lines, markers=True, epochs=True, unit_y=True)
    for split in RELIABLE:
        lines = []
        for name, (metadata, _) in runs.items():
            place = (RUNS, name, metadata[FOLDER], "predictions", f"{split}.parquet")
            predictions = sources.parquet(["true", "probabilities"], *place)
            if predictions is not None:
                true, probabilities = truth(predictions, metadata["target"]["class_names"])
                lines += precision_recall_curves(true.reshape(-1, 1), probabilities.reshape(-1, 1), [name])
        if lines:
            title = f"Precision against recall, {split} split, micro-averaged over genres"
            name = f"protocol_2019_precision_recall_{split}"
            yield curves(name, title, "recall", "precision", lines, unit_y=True, steps=True)


def runs_section(sources: Sources) -> Section:
    """Return the test metrics of all finished runs of the same target."""
    names = headlines(sources.target)
    rows = []
    for name, metadata, metrics in _runs(sources):
        split = "artist_disjoint" if "artist_disjoint" in metrics else "test"
        if split not in metrics:
            continue
        model, dataset = metrics[split][MODEL], metadata.get("dataset") or {}
        rows.append(
            (f"{name} (this run)" if name == sources.name else name, metadata.get("model"),
             metadata.get("arguments", {}).get("inputs"), dataset.get("name"), dataset.get("split_rule", {}).get("by"),
             split, model["examples"], *(with_interval(model, metric) for metric in names))
        )  # fmt: skip
    if len(rows) < 2:
        raise NoContentError(f"this is the only finished run for {sources.target}")
    heads = ("run", "model", "inputs", "dataset", "split by", "evaluated on", "examples", *map(readable, names))
    text = "Metrics on different datasets or splits are not comparable."
    return Section((text,), tables=(Table("runs", "Finished runs", heads, tuple(rows), 60),))
