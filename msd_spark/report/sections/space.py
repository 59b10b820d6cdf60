"""Whether the space is good: what neighbours share, clusters and probes, beside chance and beside raw features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msd_spark.neighbours.settings import QUALITY_FILE, SEARCH_FILE, TABLE
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Intervals
from msd_spark.report.section import Absent, Section
from msd_spark.report.tables import Table

SPACES = {"embedding": "embedding", "raw": "raw features"}


def space_section(sources: Sources) -> Section | Absent:
    """Return the figures of ``neighbours/RUN/_quality.json``."""
    title = "The space"
    quality = sources.json(TABLE, sources.name, QUALITY_FILE)
    if not quality:
        return Absent(title, f"there is no {TABLE}/{sources.name}/{QUALITY_FILE}; run jobs/neighbours.py")
    search = sources.json(TABLE, sources.name, SEARCH_FILE) or {}
    text = [
        f"{quality['k']} nearest of {quality['queries']:,} songs, {search.get('metric', '')} distance. Chance is what "
        "neighbours drawn at random would share; raw features are means and deviations of timbre and chroma.",
    ]
    reading = quality.get("latin_songs", {}).get("reading")
    if reading:
        text.append(reading)
    rows = [*_shared(quality), *_clusters(quality), *_probes(quality)]
    heads = ("what", "measure", *SPACES.values(), "chance")
    tables = [Table("space", "Neighbours, clusters and linear probes", heads, tuple(rows), texts=2)]
    groups = _groups(quality.get("latin_songs", {}).get("groups", {}))
    if groups:
        tables.append(groups)
    return Section("space", title, tuple(text), tuple(filter(None, [shared_chart(quality)])), tuple(tables))


def _shared(quality: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (f"neighbours ({kind}): same {trait}", "share", *_values(of, "share"), _first(of, "chance"))
        for kind, by_trait in quality["neighbours_that_share"].items()
        for trait, of in by_trait.items()
    ]


def _clusters(quality: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    names = {"silhouette": "silhouette", "v_measure": "V-measure"}
    of = quality.get("genre_clusters", {})
    return [("genres as clusters", name, *_values(of, key), None) for key, name in names.items()]


def _probes(quality: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (f"linear probe: {trait}", _first(of, "measure"), *_values(of, "value"), _first(of, "chance"))
        for trait, of in quality.get("probes", {}).items()
        if any(of.values())
    ]


def _values(of: Mapping[str, Any], key: str) -> list[Any]:
    return [(of.get(space) or {}).get(key) for space in SPACES]


def _first(of: Mapping[str, Any], key: str) -> Any:
    return next((figures[key] for figures in of.values() if figures and figures.get(key) is not None), None)


def shared_chart(quality: Mapping[str, Any]) -> Intervals | None:
    """Return the shares of neighbours with a trait in common, beside chance."""
    names, points = [], []
    for kind, by_trait in quality["neighbours_that_share"].items():
        for trait, of in by_trait.items():
            values = [*_values(of, "share"), _first(of, "chance")]
            if values[0] is not None:
                names.append(f"{trait} ({kind})")
                points.append(values)
    if not names:
        return None
    series = {
        name: tuple((row[place], None, None) for row in points)
        for place, name in enumerate([*SPACES.values(), "chance"])
    }
    return Intervals("neighbours_share", "Share of neighbours of the same …", "share", "", tuple(names), series)


def _groups(groups: Mapping[str, Any]) -> Table | None:
    of = groups.get("embedding") or {}
    if not of:
        return None
    shares = ("genre", "language")
    rows = tuple(
        (
            name,
            figures["songs"],
            *((figures.get(trait) or {}).get("share") for trait in shares),
            *(figures.get(kind) for kind in ("latin", "spanish")),
        )
        for name, figures in of.items()
    )
    heads = ("songs that are", "songs", *(f"of the same {trait}" for trait in shares), "Latin", "in Spanish")
    return Table("latin_songs", "Latin songs: what share of neighbours is …", heads, rows)
