"""The ingest job: plan, work, commit."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from pyspark import AccumulatorParam
from pyspark.sql import SparkSession

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.delta import Destination
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local
from msd_spark.core.rejections import Rejection, none_accepted
from msd_spark.core.schemas import LEDGER_COUNTS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.changes import check_locations, may_be_retried, missing_tracks, split_ledger, unnamed
from msd_spark.ingest.ledger import (
    commit_units,
    damaged_units,
    keep_pending,
    read_ledger,
    read_pending,
    settle,
)
from msd_spark.ingest.listing import Task, list_units, plan_listing
from msd_spark.ingest.repeated import Ledger
from msd_spark.ingest.settings import LEDGER, SONGS, VERB, IngestSettings
from msd_spark.ingest.units import Kind, Unit, limit_units
from msd_spark.ingest.work import DUPLICATE, Outcome, do_unit
from msd_spark.io.folders import UNITS_AT_ONCE, in_order
from msd_spark.spark.session import progress, share_out, start_spark, worker_errors


def run(settings: IngestSettings) -> None:
    """Run ``msd-spark ingest``."""
    if not (settings.locations or settings.manifest):
        data = DataFolder.find(settings.data)
        locations = (*data.songs, *filter(None, [data.metadata]))
        if not locations:
            raise data.missing("song files", "subset", "--songs")
        settings = dataclasses.replace(settings, locations=locations)
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
    pool = ThreadPoolExecutor(1)
    try:
        listing = pool.submit(plan_units, session, settings, tasks)
        settle(warehouse)
        units = listing.result()
    finally:
        pool.shutdown(wait=False)  # the listing ends with Java; waiting would delay Ctrl-C
    ledger, pending = read_ledger(warehouse), read_pending(warehouse)
    others = unnamed(units, tasks, settings)
    unchanged, stale = split_ledger(ledger, units, damaged_units(warehouse, ledger), others)
    check_locations(stale, units, settings)
    finished = {unit: row for unit, row in pending.items() if not may_be_retried(row)}
    done = {row["unit"] for row in unchanged} | set(finished)
    to_do = [unit for unit in units if unit.name not in done]
    destination = Destination(warehouse.address(SONGS), uuid.uuid4().hex[:8])
    warehouse.make_folder(warehouse.path(SONGS))
    finished |= work(session, settings, to_do, destination)
    new = [finished[unit.name] for unit in units if unit.name in finished]
    check_sums(units, [*unchanged, *new])
    if not any(row["songs"] for row in (*unchanged, *new)):
        raise none_accepted("song", [Rejection(**one) for row in (*unchanged, *new) for one in row["rejections"]])
    if new or stale or not warehouse.is_complete(LEDGER):
        ledger = commit_units(warehouse, new, stale, destination)
    if others and others.is_metadata and (missing := missing_tracks(ledger)):
        summary.facts["tracks without a song file now, until their metadata is named"] = sum(missing.values())
    summary.facts |= accounts(ledger)
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
    tasks = plan_listing(settings) if tasks is None else tasks
    units = plan_units(session, settings, tasks)
    ledger = read_ledger(warehouse)
    others = unnamed(units, tasks, settings)
    unchanged, stale = split_ledger(ledger, units, damaged_units(warehouse, ledger), others)
    done = {row["unit"] for row in unchanged}
    done |= {unit for unit, row in read_pending(warehouse).items() if not may_be_retried(row)}
    to_do = [unit for unit in units if unit.name not in done]
    for kind in Kind:
        of_kind = [unit for unit in units if unit.kind is kind]
        if of_kind:
            counts = [unit.n_inputs for unit in of_kind]
            contents = "files" if kind is Kind.SKIPPED else "songs in"
            summary.facts[f"units of {kind.value}"] = len(of_kind)
            summary.facts[f"{contents} {kind.value}"] = (
                "unknown before reading" if None in counts else sum(count or 0 for count in counts)
            )
    summary.facts |= {
        "units done before": len(units) - len(to_do),
        "units to do": len(to_do),
        "bytes to read": sum(unit.size for unit in to_do),
        "units to drop": len(stale),
    }
    return summary


def work(
    session: SparkSession, settings: IngestSettings, units: Sequence[Unit], destination: Destination
) -> dict[str, dict[str, Any]]:
    """Read units on the workers; return their rows of the ledger by unit."""
    if not units:
        return {}
    context, warehouse = session.sparkContext, Warehouse(settings.warehouse)
    outcomes = context.accumulator([], Appended())
    read = partial(do_unit, settings=settings, destination=destination)
    local = is_local(settings.warehouse) and all(is_local(unit.location) for unit in units)
    at_once = 1 if local else UNITS_AT_ONCE
    # Largest first: a tar at the end would keep one worker busy while the others are idle.
    tasks = share_out(sorted(units, key=lambda unit: -unit.size), context.defaultParallelism, at_once)

    def read_all(task: list[Unit]) -> None:
        for _, outcome in in_order(read, task, at_once):
            outcomes.add([outcome])

    sizes = {unit.name: unit.size for unit in units}
    total = sum(sizes.values())
    expected = None if any(unit.n_inputs is None for unit in units) else sum(unit.n_inputs or 0 for unit in units)

    def n_done() -> int:
        finished = list(outcomes.value)
        return sum(item.n_inputs if expected else sizes[item.unit] for item in finished)

    remedy = "finished units stay finished, run the same command again"
    with (
        progress(session, "ingest", n_done, expected or total or None, "song" if expected else "B"),
        keeping(warehouse, lambda: list(outcomes.value), settings.commit_every),
        worker_errors("reading a unit", remedy),
    ):
        context.parallelize(tasks, len(tasks)).foreach(read_all)
    return {item.unit: item.ledger_row() for item in outcomes.value}


class Appended(AccumulatorParam[list[Outcome]]):
    """Accumulates lists: Spark adds those of a task once, when it has ended."""

    def zero(self, value: list[Outcome]) -> list[Outcome]:
        """Return the empty list."""
        return []

    def addInPlace(self, value1: list[Outcome], value2: list[Outcome]) -> list[Outcome]:  # noqa: N802  # Spark's name
        """Return the first list with the items of the second."""
        value1.extend(value2)
        return value1


@contextmanager
def keeping(warehouse: Warehouse, finished: Callable[[], list[Outcome]], interval: float) -> Iterator[None]:
    """Commit finished units to `PENDING` every `interval` seconds within the block.

    If the block fails, also at its end.
    """
    stop, n_kept = threading.Event(), 0

    def keep() -> None:
        nonlocal n_kept
        outcomes = finished()
        if len(outcomes) > n_kept:
            keep_pending(warehouse, outcomes[n_kept:])
            n_kept = len(outcomes)

    def follow() -> None:
        while not stop.wait(interval):
            with suppress(UserError, OSError):  # the next attempt keeps them
                keep()

    follower = threading.Thread(target=follow, name="pending units", daemon=True)
    follower.start()
    succeeded = False
    try:
        yield
        succeeded = True
    finally:
        stop.set()
        follower.join()
        if not succeeded:
            keep()


def check_sums(units: Sequence[Unit], rows: Ledger) -> None:
    """Check that each input of each unit is a song, a rejection, a duplicate or skipped."""
    counts = {
        row["unit"]: (row["inputs"], sum(row["file_rows"]) + row["rejected"] + row["duplicates"] + row["skipped"])
        for row in rows
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
    sums = {name: sum(row[name] for row in ledger) for name in LEDGER_COUNTS}
    if sums["inputs"] != sum(sums[name] for name in LEDGER_COUNTS[1:]):
        raise UserError(f"the ledger does not add up: {sums}; ingest into another --warehouse")
    return sums | {"units": len(ledger)}


def reasons(ledger: Ledger) -> dict[str, dict[str, tuple[int, str]]]:
    """Return the number of rejected and of skipped inputs by reason, each with an example."""
    counts: dict[str, dict[str, tuple[int, str]]] = {"rejected": {}, "skipped": {}}

    def add(outcome: str, reason: str, count: int, example: str) -> None:
        before, first = counts[outcome].get(reason, (0, example))
        counts[outcome][reason] = before + count, first

    for row in ledger:
        for one in row["rejections"]:
            if one["reason"] != DUPLICATE:
                add("rejected", one["reason"], 1, f"{one['source']} {one['member'] or ''}".rstrip())
        for one in row["skips"]:
            add("skipped", one["reason"], one["count"], one["example"])
    return counts


def accounts(ledger: Ledger) -> dict[str, Any]:
    """Return the rows of the summary table that account for every input."""
    facts: dict[str, Any] = dict(totals(ledger))
    n_units = facts.pop("units")
    n_inputs, *parts = facts.values()
    facts["inputs = " + " + ".join(LEDGER_COUNTS[1:])] = f"{n_inputs:,} = {' + '.join(f'{part:,}' for part in parts)}"
    for outcome, counts in reasons(ledger).items():
        for reason, (count, example) in sorted(counts.items()):
            facts[f"{outcome}, {reason}"] = f"{count:,}, such as {shortened(example)}"
    return facts | {"units": n_units}


def shortened(place: str, longest: int = 60) -> str:
    """Return the end of a long path."""
    return place if len(place) <= longest else f"…{place[1 - longest :]}"
