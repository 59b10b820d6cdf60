"""Counts of songs: dataset funnel, class balance, ingest ledger, rejections by reason."""

from __future__ import annotations

from typing import Any

import pandas as pd

from msd_spark.core.schemas import LEDGER_COUNTS, SPLITS
from msd_spark.report.data.sources import Sources
from msd_spark.report.draw.charts import bars
from msd_spark.report.section import NoContentError, Section
from msd_spark.report.tables import Table

STAGES = ("ingest", "lyrics", "labels", "plays", "dataset", "score", "neighbours", "maps")
TRAIN = SPLITS[0]
LOCATIONS = 30
"""Locations shown by name."""


def funnel_section(sources: Sources) -> Section:
    """Return the steps from songs to examples."""
    steps = sources.dataset.get("funnel_steps")
    if not steps:
        raise NoContentError("the run's dataset is gone, or has no funnel")
    names, tracks = [step["name"] for step in steps], [step["tracks"] for step in steps]
    chart = bars("funnel", "Songs after each step", "songs", names, {"songs": tracks}, horizontal=True)
    genres = sorted({genre for step in steps for genre in step["by_genre"]})
    rows = tuple(
        (step["name"], step["tracks"], step["left_out"], *(step["by_genre"].get(genre, 0) for genre in genres))
        for step in steps
    )
    text = "A step that is not required leaves out no song; its count is how many songs have it."
    table = Table("funnel", "Steps, with songs by genre", ("step", "songs", "left out", *genres), rows)
    return Section((text,), (chart,), (table,))


def examples_section(sources: Sources) -> Section:
    """Return tracks per genre by split, and the train split before and after resampling."""
    dataset = sources.dataset
    rows = dataset.get("examples_by_genre")
    if not rows:
        raise NoContentError("the run's dataset is gone, or has no genres")
    tracks = dataset.get("tracks_by_genre") or rows
    balance = dataset.get("balance", {}).get("kind", "none")
    resampled = any(rows[genre].get(TRAIN) != tracks[genre].get(TRAIN) for genre in rows)
    text = (
        f"Only the train split is resampled (balance {balance}); validation and test have each track once."
        if resampled
        else f"Nothing is resampled (balance {balance}): the train split has each track once."
    )
    splits = list(next(iter(rows.values())))
    heads = ("genre", *(f"{split}: tracks" for split in splits), f"{TRAIN}: rows after resampling")
    table = Table(
        "examples",
        "By genre",
        heads,
        tuple((genre, *(tracks[genre].get(split, 0) for split in splits), rows[genre].get(TRAIN, 0)) for genre in rows),
    )
    genres = sorted(tracks, key=lambda genre: -sum(tracks[genre].values()))
    resampling = {
        "before resampling (tracks)": [tracks[genre].get(TRAIN, 0) for genre in genres],
        "after resampling (rows)": [rows[genre].get(TRAIN, 0) for genre in genres],
    }
    by_split = {split: [tracks[genre].get(split, 0) for genre in genres] for split in splits}
    charts = (
        bars("genres_train", "Train split before and after resampling", "songs", genres, resampling),
        bars("genres_by_split", "Tracks per split", "songs", genres, by_split),
    )
    return Section((text,), charts, (table,))


def ingest_section(sources: Sources) -> Section:
    """Return the ingest ledger by location, and the last summary of each stage."""
    tables = []
    columns = sources.warehouse.open_table("ledger").schema.names if sources.warehouse.is_complete("ledger") else []
    names = ["kind", "location", "seconds", *LEDGER_COUNTS]
    ledger = sources.table([name for name in names if name in columns], "ledger")
    if ledger is not None and len(ledger):
        tables.append(ledger_table(ledger))
    rows: list[tuple[Any, ...]] = []
    for stage in STAGES:
        facts = sources.summary(stage)
        rows += [(stage if place == 0 else "", name, value) for place, (name, value) in enumerate(facts.items())]
    if rows:
        heads = ("stage", "fact", "value")
        tables.append(Table("stages", "Last summary of each stage", heads, tuple(rows), 200, folded=True))
    if not tables:
        raise NoContentError("ledger/ and summaries/ are missing")
    text = "For each unit of ingest and in total: inputs = songs + rejected + duplicates + skipped."
    return Section((text,), tables=tuple(tables))


def ledger_table(ledger: pd.DataFrame) -> Table:
    """Return the ledger by kind and location, with a total and whether each row adds up.

    An older ledger has no column ``skipped``.
    """
    groups = ledger.assign(skipped=ledger.get("skipped", 0)).groupby(["kind", "location"], sort=False)
    sums = groups[[*LEDGER_COUNTS, "seconds"]].sum().assign(units=groups.size()).sort_values("inputs", ascending=False)
    heads = ("kind", "location", "units", *LEDGER_COUNTS, "adds up", "worker seconds")

    def row(kind: str, location: str, part: Any) -> tuple[Any, ...]:
        counts = [int(part[name]) for name in LEDGER_COUNTS]
        return (kind, location, int(part["units"]), *counts, counts[0] == sum(counts[1:]), float(part["seconds"]))

    parts = sums.reset_index().to_dict("records")
    rows = [row(str(part["kind"]), str(part["location"]), part) for part in parts]
    rows.insert(0, row("all", f"{len(sums):,} locations", sums.sum()))
    return Table("ledger", "Ingest by location", heads, tuple(rows), LOCATIONS)


def rejected_section(sources: Sources) -> Section:
    """Return the number of rejected inputs and one example for each stage and reason."""
    stages = [name.removeprefix("stage=") for name in sources.warehouse.folders("rejected")]
    stages.sort(key=lambda stage: STAGES.index(stage) if stage in STAGES else len(STAGES))
    rows: list[tuple[Any, ...]] = []
    for stage in stages:
        place = ("rejected", f"stage={stage}")
        table = sources.warehouse.read_table(["source", "member", "reason", "detail"], *place).to_pandas()
        for reason, part in table.groupby("reason"):
            source, member, detail = part[["source", "member", "detail"]].iloc[0]
            rows.append((stage, reason, len(part), " ".join(filter(None, (source, member))), detail))
    if not rows:
        raise NoContentError("nothing was rejected" if stages else "rejected/ is missing")
    heads = ("stage", "reason", "inputs", "first input", "detail")
    return Section(tables=(Table("rejected", "By stage and reason", heads, tuple(rows)),))
