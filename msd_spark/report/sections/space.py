"""Embedding quality: neighbours, clusters and probes, beside chance and raw features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msd_spark.neighbours.settings import QUALITY_FILE, SEARCH_FILE, TABLE
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import intervals
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.tables import Table

SPACES = {"embedding": "embedding", "raw": "raw features"}


def space_section(sources: Sources) -> Section:
    """Return the metrics of ``neighbours/RUN/_quality.json``."""
    quality = sources.json(TABLE, sources.name, QUALITY_FILE)
    if not quality:
        raise NoContentError(f"{TABLE}/{sources.name}/{QUALITY_FILE} is missing; run msd-spark neighbours")
    search = sources.json(TABLE, sources.name, SEARCH_FILE) or {}
    text = (
        f"{quality['k']} nearest neighbours of {quality['queries']:,} songs, {search.get('metric', '')} distance. "
        "Chance is the share among random pairs; raw features are means and standard deviations of timbre and chroma."
    )
    shared = shared_traits(quality)
    rows = [(f"neighbours: same {name}", "share", *values) for name, values in shared.items()]
    clusters = quality.get("genre_clusters", {})
    for key, name in (("silhouette", "silhouette"), ("v_measure", "V-measure")):
        rows.append(("genres as clusters", name, *_values(clusters, key), None))
    for trait, probe in quality.get("probes", {}).items():
        if any(probe.values()):
            values = (*_values(probe, "value"), _first(probe, "chance"))
            rows.append((f"linear probe: {trait}", _first(probe, "measure"), *values))
    heads = ("evaluation", "measure", *SPACES.values(), "chance")
    table = Table("embedding_quality", "Neighbours, clusters and linear probes", heads, tuple(rows))
    known = {name: values for name, values in shared.items() if values[0] is not None}
    series = {
        name: [(values[place], None, None) for values in known.values()]
        for place, name in enumerate([*SPACES.values(), "chance"])
    }
    chart = intervals("neighbours_share", "Share of neighbours with the same …", "share", tuple(known), series)
    return Section((text,), (chart,) if known else (), (table,))


def shared_traits(quality: Mapping[str, Any]) -> dict[str, tuple[Any, Any, Any]]:
    """Return the share of neighbours with the same trait: embedding, raw features, chance."""
    return {
        f"{trait} ({kind})": (*_values(shares, "share"), _first(shares, "chance"))
        for kind, by_trait in quality["neighbours_that_share"].items()
        for trait, shares in by_trait.items()
    }


def _values(spaces: Mapping[str, Any], key: str) -> tuple[Any, Any]:
    embedding, raw = ((spaces.get(space) or {}).get(key) for space in SPACES)
    return embedding, raw


def _first(spaces: Mapping[str, Any], key: str) -> Any:
    return next((metrics[key] for metrics in spaces.values() if metrics and metrics.get(key) is not None), None)
