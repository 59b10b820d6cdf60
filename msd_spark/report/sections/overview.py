"""Summary at the top of the report: data, model, key metrics with intervals and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msd_spark.core.formatting import with_interval
from msd_spark.neighbours.settings import QUALITY_FILE, TABLE
from msd_spark.report.data.sources import Sources
from msd_spark.report.sections.results import (
    MODEL,
    chance_warning,
    final_split,
    headlines,
    metrics_table,
    readable,
)
from msd_spark.report.sections.space import shared_traits
from msd_spark.report.tables import Table


@dataclass(frozen=True)
class Overview:
    """Facts by topic, key metrics, and a warning if the model is not better than guessing."""

    facts: dict[str, str]
    table: Table | None = None
    warning: str | None = None


def overview(sources: Sources, n_songs: int) -> Overview:
    """Return the summary of a run with `n_songs` embedded songs."""
    facts = {"data": _data(sources, n_songs), "model": _model(sources), "embedding": _embedding(sources)}
    split = final_split(sources.metrics)
    if split is not None:
        facts["result"] = result(sources.metrics[split], headlines(sources.target), split)
    facts = {topic: text for topic, text in facts.items() if text}
    if split is None:
        return Overview(facts)
    metrics = sources.metrics[split]
    title = f"Key metrics on the {split} split, with 95 % intervals by artist"
    table = metrics_table("key_metrics", title, {split: metrics}, headlines(sources.target))
    return Overview(facts, table, chance_warning(metrics, split))


def result(metrics: Mapping[str, Any], names: Sequence[str], split: str) -> str:
    """Return the key metrics of the model, each with its interval and the best baseline.

    Examples
    --------
    >>> model = {"accuracy": 0.6, "intervals": {"accuracy": [0.5, 0.7]}}
    >>> result({"model": model, "majority": {"accuracy": 0.2}, "logistic": {"accuracy": 0.4}}, ["accuracy"], "test")
    'test accuracy .600 [.500, .700]; best baseline: logistic .400'
    """
    texts = []
    for name in names:
        if metrics[MODEL].get(name) is None:
            continue
        text = f"{split} {readable(name)} {with_interval(metrics[MODEL], name)}"
        others = {one: row[name] for one, row in metrics.items() if one != MODEL and row.get(name) is not None}
        if others:
            best = max(others, key=others.__getitem__)
            text += f"; best baseline: {readable(best)} {with_interval(metrics[best], name)}"
        texts.append(text)
    return ". ".join(texts)


def _data(sources: Sources, n_songs: int) -> str:
    dataset = sources.run.get("dataset") or {}
    texts = [f"{n_songs:,} songs"]
    if dataset:
        rows = sources.dataset.get("rows", {})
        sizes = ", ".join(f"{count:,} {split}" for split, count in rows.items())
        texts.append(f"dataset {dataset['name']} ({sizes or dataset['fingerprint'][:12]})")
    if dataset.get("split_rule"):
        texts.append(f"split by {dataset['split_rule']['by']}")
    return ", ".join(texts)


def _model(sources: Sources) -> str:
    run = sources.run
    inputs = run.get("arguments", {}).get("inputs")
    texts = [
        str(run.get("model", "unknown")) + (f" (inputs: {inputs})" if inputs else ""),
        f"target: {sources.target}",
        f"{run['parameters']:,} parameters" if run.get("parameters") else "",
        f"{len(sources.history)} epochs" if sources.history else "",
    ]
    return ", ".join(filter(None, texts))


def _embedding(sources: Sources) -> str:
    quality = sources.json(TABLE, sources.name, QUALITY_FILE)
    share, raw, chance = shared_traits(quality).get("genre (all)", (None,) * 3) if quality else (None,) * 3
    if share is None or raw is None or chance is None:
        return ""
    return (
        f"{share:.0%} of the {quality['k']} nearest neighbours have the same genre "
        f"(raw features {raw:.0%}, chance {chance:.0%})"
    )
