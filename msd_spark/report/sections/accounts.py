"""Every song accounted for: the funnel into the dataset, the ledger of ingest, what was rejected and why."""

from __future__ import annotations

from typing import Any

import pandas as pd

from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import Bars
from msd_spark.report.section import Absent, Section
from msd_spark.report.tables import Table

STAGES = ("ingest", "lyrics", "labels", "plays", "dataset", "score", "neighbours", "maps")
COUNTS = ("inputs", "songs", "rejected", "duplicates")
PLACES = 30
"""Locations of the ledger that the page shows by name."""


def funnel_section(sources: Sources) -> Section | Absent:
    """Return the steps from songs to examples."""
    title = "From songs to examples"
    steps = sources.dataset.get("funnel_steps")
    if not steps:
        return Absent(title, "the run's dataset is gone, or says nothing of its steps")
    names = tuple(step["name"] for step in steps)
    chart = Bars("funnel", "Songs at each step", "songs", "", names, {"songs": tuple(s["tracks"] for s in steps)}, True)
    genres = sorted({genre for step in steps for genre in step["by_genre"]})
    rows = tuple(
        (step["name"], step["tracks"], step["left_out"], *(step["by_genre"].get(genre, 0) for genre in genres))
        for step in steps
    )
    text = "A step that is not required leaves nobody out: it says how many have it."
    table = Table("funnel", "Steps, and their songs by genre", ("step", "songs", "left out", *genres), rows)
    return Section("funnel", title, (text,), (chart,), (table,))


def ingest_section(sources: Sources) -> Section | Absent:
    """Return the ledger of ingest by location, and what each stage said last."""
    title = "The ingest ledger, and every stage"
    tables = []
    ledger = sources.table(["kind", "location", "seconds", *COUNTS], "ledger")
    if ledger is not None and len(ledger):
        tables.append(ledger_table(ledger))
    told: list[tuple[Any, ...]] = []
    for stage in STAGES:
        facts = sources.summary(stage)
        told += [(stage if place == 0 else "", name, value) for place, (name, value) in enumerate(facts.items())]
    if told:
        tables.append(
            Table("stages", "What each stage said last", ("stage", "", ""), tuple(told), 200, texts=2, folded=True)
        )
    if not tables:
        return Absent(title, "there is neither ledger/ nor summaries/")
    text = "For each unit of ingest, and so for all: inputs = songs + rejected + duplicates."
    return Section("ledger", title, (text,), tables=tuple(tables))


def ledger_table(ledger: pd.DataFrame) -> Table:
    """Return the ledger by kind and location, with a sum that says whether it adds up."""
    together = ledger.groupby(["kind", "location"], sort=False)
    sums = together[[*COUNTS, "seconds"]].sum().assign(units=together.size()).sort_values("inputs", ascending=False)
    heads = ("kind", "location", "units", *COUNTS, "adds up", "worker seconds")

    def row(kind: str, location: str, part: Any) -> tuple[Any, ...]:
        counts = [int(part[name]) for name in COUNTS]
        return (kind, location, int(part["units"]), *counts, counts[0] == sum(counts[1:]), float(part["seconds"]))

    parts = sums.reset_index().to_dict("records")
    rows = [row(str(part["kind"]), str(part["location"]), part) for part in parts]
    rows.insert(0, row("all", f"{len(sums):,} locations", sums.sum()))
    return Table("ledger", "Ingest by location", heads, tuple(rows), PLACES, texts=2)


def rejected_section(sources: Sources) -> Section | Absent:
    """Return each stage's reasons of rejection with their number and one example."""
    warehouse = sources.warehouse
    stages = _stages_with_rejections(sources)
    columns = ["source", "member", "reason", "detail"]
    rows: list[tuple[Any, ...]] = []
    for stage in stages:
        files = warehouse.list_files(warehouse.path("rejected", f"stage={stage}"))
        if not any(info.path.endswith(".parquet") for info in files):
            continue
        table = warehouse.read_table(columns, "rejected", f"stage={stage}").to_pandas()
        rows += [
            (stage, reason, len(part), " ".join(filter(None, (part["source"].iloc[0], part["member"].iloc[0]))),
             part["detail"].iloc[0])
            for reason, part in table.groupby("reason")
        ]  # fmt: skip
    if not rows:
        return Absent("Rejected", "nothing was rejected" if stages else "no stage wrote rejected/")
    heads = ("stage", "reason", "inputs", "the first of them", "what was seen")
    return Section("rejected", "Rejected", tables=(Table("rejected", "By stage and reason", heads, tuple(rows)),))


def _stages_with_rejections(sources: Sources) -> list[str]:
    """Return the stages that have a whole table of rejections, those of `STAGES` first and in their order."""
    prefix = sources.warehouse.path("rejected") + "/stage="
    paths = [info.path for info in sources.warehouse.list_files(sources.warehouse.path("rejected"))]
    found = {path.removeprefix(prefix).split("/")[0] for path in paths if path.startswith(prefix)}
    whole = [stage for stage in found if sources.warehouse.is_complete("rejected", f"stage={stage}")]
    return sorted(whole, key=lambda stage: (STAGES.index(stage) if stage in STAGES else len(STAGES), stage))
