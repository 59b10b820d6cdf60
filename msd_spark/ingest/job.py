"""The ingest job: plan, work, publish."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.listing import Task, list_units, plan_listing
from msd_spark.ingest.lock import exclusive
from msd_spark.ingest.publish import finish_publication, plan_publication, publish
from msd_spark.ingest.reading import TEMPORARY
from msd_spark.ingest.settings import OUTCOMES, PARTS, VERB, IngestSettings
from msd_spark.ingest.units import Kind, Unit, limit_units
from msd_spark.ingest.work import Outcome, read_outcomes, unit_worker
from msd_spark.spark.session import progress, share_out, start_spark, worker_errors

Ledger = list[dict[str, Any]]
"""Rows of ``ledger/``."""


def run(settings: IngestSettings) -> None:
    """Run ``msd-spark ingest``."""
    if not (settings.locations or settings.manifest):
        data = DataFolder.find(settings.data)
        if not data.songs:
            raise data.missing("song files", "subset", "--songs")
        settings = dataclasses.replace(settings, locations=tuple(map(str, data.songs)))
    tasks = plan_listing(settings)
    session = start_spark("msd-spark ingest")
    if settings.dry_run:
        print(dry_run(session, settings, tasks).table())
    else:
        ingest(session, settings, tasks).finish(Warehouse(settings.warehouse))


def ingest(session: SparkSession, settings: IngestSettings, tasks: list[Task] | None = None) -> Summary:
    """Ingest songs listed by tasks of `plan_listing`; work of an earlier ingest is not repeated."""
    tasks = plan_listing(settings) if tasks is None else tasks
    summary = Summary(VERB)
    warehouse = Warehouse(settings.warehouse)
    with exclusive(warehouse):
        finish_publication(warehouse)
        units = plan_units(session, settings, tasks)
        rejected = read_rejected(warehouse)
        unchanged, stale = split_ledger(read_ledger(warehouse), units, rejected)
        check_locations(stale, units, settings)
        finished = read_outcomes(warehouse)
        for name in [name for name, outcome in finished.items() if _may_be_retried(outcome)]:
            warehouse.remove(OUTCOMES, f"{name}.json")
            del finished[name]
        unchanged_names = {row["unit"] for row in unchanged}
        to_do = [unit for unit in units if unit.name not in unchanged_names and unit.name not in finished]
        work(session, settings, to_do)
        finished = read_outcomes(warehouse)
        outcomes = [finished[unit.name] for unit in units if unit.name not in unchanged_names and unit.name in finished]
        check_sums(units, unchanged, outcomes)
        if outcomes or stale or not warehouse.is_complete("songs"):
            earlier_rejections = [one for one in rejected if one.unit in unchanged_names]
            publish(warehouse, plan_publication(warehouse, unchanged, outcomes, earlier_rejections))
        summary.facts |= totals(read_ledger(warehouse))
        summary.facts |= {"units done before": len(units) - len(to_do), "units dropped": len(stale)}
    return summary


def plan_units(session: SparkSession, settings: IngestSettings, tasks: list[Task]) -> list[Unit]:
    """Return the units to ingest, limited to `limit` songs."""
    with progress(session, "ingest: listing"), worker_errors("listing"):
        units = list_units(session.sparkContext, settings, tasks)
    return units if settings.limit is None else limit_units(units, settings.limit)


def dry_run(session: SparkSession, settings: IngestSettings, tasks: list[Task] | None = None) -> Summary:
    """Return what an ingest would do, as numbers of units and inputs; write nothing."""
    summary = Summary(f"{VERB}, dry run")
    warehouse = Warehouse(settings.warehouse)
    units = plan_units(session, settings, plan_listing(settings) if tasks is None else tasks)
    unchanged, stale = split_ledger(read_ledger(warehouse), units, read_rejected(warehouse))
    done = {row["unit"] for row in unchanged}
    done |= {name for name, outcome in read_outcomes(warehouse).items() if not _may_be_retried(outcome)}
    to_do = [unit for unit in units if unit.name not in done]
    for kind in Kind:
        of_kind = [unit for unit in units if unit.kind is kind]
        if of_kind:
            n_songs = sum(unit.n_inputs or 0 for unit in of_kind)
            summary.facts[f"units of {kind.value}"] = len(of_kind)
            summary.facts[f"songs in {kind.value}"] = "unknown before reading" if kind is Kind.TAR else n_songs
    summary.facts |= {
        "units done before": len(units) - len(to_do),
        "units to do": len(to_do),
        "bytes to read": sum(unit.size for unit in to_do),
        "units to drop": len(stale),
    }
    return summary


def read_ledger(warehouse: Warehouse) -> Ledger:
    """Return the rows of the ledger; none if there is no ledger."""
    if not warehouse.is_complete("ledger"):
        return []
    return list(pq.read_table(warehouse.path("ledger"), filesystem=warehouse.filesystem).to_pylist())


def read_rejected(warehouse: Warehouse) -> list[Rejection]:
    """Return the rejections of earlier ingests."""
    table = ("rejected", f"stage={VERB}")
    if not warehouse.is_complete(*table):
        return []
    rows = pq.read_table(warehouse.path(*table), filesystem=warehouse.filesystem, partitioning=None).to_pylist()
    return [Rejection(**row) for row in rows]


def split_ledger(ledger: Ledger, units: Sequence[Unit], rejected: Sequence[Rejection]) -> tuple[Ledger, Ledger]:
    """Split the ledger into units that stay and units that are dropped or read again.

    A unit is dropped if its inputs changed. It is read again if one of its inputs could not be read. If anything
    changed, each unit that left out a track in favour of another unit is read again too.
    """
    names = {unit.name for unit in units}
    to_retry = {one.unit for one in rejected if one.reason in TEMPORARY}
    current = [row for row in ledger if row["unit"] in names and row["unit"] not in to_retry]
    if len(current) == len(ledger) == len(names):
        return current, []
    unchanged = [row for row in current if len(row["track_ids"]) == row["songs"]]
    unchanged_names = {row["unit"] for row in unchanged}
    return unchanged, [row for row in ledger if row["unit"] not in unchanged_names]


def check_locations(stale: Ledger, units: Sequence[Unit], settings: IngestSettings) -> None:
    """Check that songs are dropped only with ``--replace``."""
    if settings.replace:
        return
    gone = sorted({row["location"] for row in stale} - {unit.location for unit in units})
    if settings.limit is not None and stale:
        n_songs = sum(row["songs"] for row in stale)
        raise UserError(
            f"--limit {settings.limit} would drop {n_songs:,} songs of songs/; use another --warehouse, or --replace"
        )
    if gone:
        n_songs = sum(row["songs"] for row in stale if row["location"] in gone)
        raise UserError(
            f"songs/ has {n_songs:,} songs from {gone[0]}, which is not named this time; "
            "add it to --songs, or drop them by --replace"
        )


def _may_be_retried(outcome: Outcome) -> bool:
    return any(one.reason in TEMPORARY for one in outcome.rejected)


def work(session: SparkSession, settings: IngestSettings, units: Sequence[Unit]) -> None:
    """Read units on the workers, which write their outcomes."""
    if not units:
        return
    warehouse = Warehouse(settings.warehouse)
    warehouse.filesystem.create_dir(warehouse.path(PARTS), recursive=True)
    context = session.sparkContext
    done, done_bytes = context.accumulator(0), context.accumulator(0)
    # Largest first: a tar at the end would keep one worker busy while the others are idle.
    tasks = share_out(sorted(units, key=lambda unit: -unit.size), context.defaultParallelism)
    read = unit_worker(settings, done.add, done_bytes.add)

    def read_all(task: list[Unit]) -> None:
        for unit in task:
            read(unit)

    total = sum(unit.size for unit in units)
    expected = None if any(unit.n_inputs is None for unit in units) else sum(unit.n_inputs or 0 for unit in units)
    counter = (lambda: done.value, expected) if expected else (lambda: done_bytes.value, total or None)
    remedy = "finished units stay finished, run the same command again"
    with (
        progress(session, "ingest: songs" if expected else "ingest: bytes", *counter),
        worker_errors("reading a unit", remedy),
    ):
        context.parallelize(tasks, len(tasks)).foreach(read_all)


def check_sums(units: Sequence[Unit], unchanged: Ledger, outcomes: Sequence[Outcome]) -> None:
    """Check that each input of each unit is a song, a rejection or a duplicate."""
    counts = {row["unit"]: (row["inputs"], row["songs"] + row["rejected"] + row["duplicates"]) for row in unchanged}
    counts |= {
        item.unit: (item.n_inputs, sum(item.files.values()) + len(item.rejected) + len(item.duplicates))
        for item in outcomes
    }
    for unit in units:
        n_inputs, n_accounted = counts.get(unit.name, (unit.n_inputs or 1, 0))
        n_inputs = n_inputs if unit.n_inputs is None else unit.n_inputs
        if n_inputs != n_accounted:
            raise UserError(
                f"unit {unit.name} ({unit.inputs[0].source} …) has {n_inputs} inputs, and {n_accounted} are accounted "
                "for; nothing was changed, run the same command again"
            )


def totals(ledger: Ledger) -> dict[str, int]:
    """Return the sums of the ledger's counts."""
    sums = {name: sum(row[name] for row in ledger) for name in ("inputs", "songs", "rejected", "duplicates")}
    if sums["inputs"] != sums["songs"] + sums["rejected"] + sums["duplicates"]:
        raise UserError(f"the ledger does not add up: {sums}; ingest into another --warehouse")
    return sums | {"units": len(ledger)}
