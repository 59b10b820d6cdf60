"""Summary at the top of the report: data, model, key metrics with intervals and baselines."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.neighbours.settings import QUALITY_FILE, TABLE
from msd_spark.report.data.sources import Sources
from msd_spark.report.sections.results import chance_warning, final_split, headlines, metrics_table
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
    facts = {topic: text for topic, text in facts.items() if text}
    split = final_split(sources.metrics)
    if split is None:
        return Overview(facts)
    metrics = sources.metrics[split]
    title = f"Key metrics on the {split} split, with 95 % intervals by artist"
    table = metrics_table("key_metrics", title, {split: metrics}, headlines(sources.target))
    return Overview(facts, table, chance_warning(metrics, split))


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
