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
from msd_spark.ingest.listing import plan_units
from msd_spark.ingest.lock import exclusive
from msd_spark.ingest.publish import finish_publication, plan_publication, publish
from msd_spark.ingest.reading import PASSING
from msd_spark.ingest.settings import OUTCOMES, PARTS, STAGE, IngestSettings
from msd_spark.ingest.units import Kind, Unit, limit_units
from msd_spark.ingest.work import Outcome, read_outcomes, unit_worker
from msd_spark.spark.session import last_words, progress, share_out, start_spark

Ledger = list[dict[str, Any]]


def run(settings: IngestSettings) -> None:
    """Run ``msd-spark ingest``."""
    if not (settings.locations or settings.manifest):
        data = DataFolder.find(settings.data)
        if not data.songs:
            raise data.missing("song files", "subset", "--songs")
        settings = dataclasses.replace(settings, locations=tuple(map(str, data.songs)))
    session = start_spark("msd-spark ingest")
    if settings.dry_run:
        print(dry_run(session, settings).table())
    else:
        ingest(session, settings).finish(Warehouse(settings.warehouse))


def ingest(session: SparkSession, settings: IngestSettings) -> Summary:
    """Ingest songs; return the summary.

    What an earlier ingest did, or began, is not done again.

    Raises
    ------
    UserError
        When there is nothing to ingest, another ingest is at work, a unit fails, or the counts
        do not add up.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    with exclusive(warehouse):
        finish_publication(warehouse)
        units = planned(session, settings)
        ledger = read_ledger(warehouse)
        rejected = read_rejected(warehouse)
        kept, stale = part_ledger(ledger, units, rejected)
        check_locations(stale, units, settings)
        done = read_outcomes(warehouse)
        for name in [name for name, outcome in done.items() if _is_passing(outcome)]:
            warehouse.remove(OUTCOMES, f"{name}.json")
            del done[name]
        known = {row["unit"] for row in kept}
        to_do = [unit for unit in units if unit.name not in known and unit.name not in done]
        work(session, settings, to_do)
        found = read_outcomes(warehouse)
        outcomes = [found[unit.name] for unit in units if unit.name not in known and unit.name in found]
        check_sums(units, kept, outcomes)
        if outcomes or stale or not warehouse.is_complete("songs"):
            stays = [one for one in rejected if one.unit in known]
            publish(warehouse, plan_publication(warehouse, kept, outcomes, stays))
        summary.facts |= totals(read_ledger(warehouse))
        summary.facts |= {"units done before": len(units) - len(to_do), "units dropped": len(stale)}
    return summary


def planned(session: SparkSession, settings: IngestSettings) -> list[Unit]:
    """Return the units of what is to be ingested, cut to `limit` songs where there is one."""
    with progress(session, "ingest: listing"):
        try:
            units = plan_units(session.sparkContext, settings)
        except UserError:
            raise
        except Exception as error:  # a store that denies, or whatever Spark wraps a worker's failure in
            raise UserError(f"listing failed: {last_words(error)}") from error
    return units if settings.limit is None else limit_units(units, settings.limit)


def dry_run(session: SparkSession, settings: IngestSettings) -> Summary:
    """Return what an ingest would do, by the number of units and inputs; nothing is written."""
    summary = Summary(f"{STAGE}, if it ran")
    warehouse = Warehouse(settings.warehouse)
    units = planned(session, settings)
    kept, stale = part_ledger(read_ledger(warehouse), units, read_rejected(warehouse))
    done = {row["unit"] for row in kept}
    done |= {name for name, outcome in read_outcomes(warehouse).items() if not _is_passing(outcome)}
    to_do = [unit for unit in units if unit.name not in done]
    for kind in Kind:
        of_kind = [unit for unit in units if unit.kind is kind]
        if of_kind:
            inputs = sum(unit.n_inputs or 0 for unit in of_kind)
            summary.facts[f"units of {kind.value}"] = len(of_kind)
            summary.facts[f"songs in {kind.value}"] = "known by reading" if kind is Kind.TAR else inputs
    summary.facts |= {
        "units done before": len(units) - len(to_do),
        "units to do": len(to_do),
        "bytes to read": sum(unit.size for unit in to_do),
        "units to drop": len(stale),
    }
    return summary


def read_ledger(warehouse: Warehouse) -> Ledger:
    """Return the ledger's rows, none where there is no ledger."""
    if not warehouse.is_complete("ledger"):
        return []
    return list(pq.read_table(warehouse.path("ledger"), filesystem=warehouse.filesystem).to_pylist())


def read_rejected(warehouse: Warehouse) -> list[Rejection]:
    """Return what ``rejected/`` has of this stage."""
    place = ("rejected", f"stage={STAGE}")
    if not warehouse.is_complete(*place):
        return []
    table = pq.read_table(warehouse.path(*place), filesystem=warehouse.filesystem, partitioning=None)
    return [Rejection(**row) for row in table.to_pylist()]


def part_ledger(ledger: Ledger, units: Sequence[Unit], rejected: Sequence[Rejection]) -> tuple[Ledger, Ledger]:
    """Part the ledger into units that stay as they are, and units that go.

    A unit goes when its inputs are not as they were. It goes, to be read again, when one of its
    inputs could not be had then; and, as soon as anything changes, when it left out a track for
    another unit's sake.
    """
    names = {unit.name for unit in units}
    to_retry = {one.unit for one in rejected if one.reason in PASSING}
    stays = [row for row in ledger if row["unit"] in names and row["unit"] not in to_retry]
    if len(stays) == len(ledger) == len(names):
        return stays, []
    kept = [row for row in stays if len(row["track_ids"]) == row["songs"]]
    kept_names = {row["unit"] for row in kept}
    return kept, [row for row in ledger if row["unit"] not in kept_names]


def check_locations(stale: Ledger, units: Sequence[Unit], settings: IngestSettings) -> None:
    """Refuse to drop, unasked, songs from a location that the command does not name, or beyond its limit.

    Raises
    ------
    UserError
        With the first such location.
    """
    named = {unit.location for unit in units}
    gone = sorted({row["location"] for row in stale} - named)
    if settings.limit is not None and stale and not settings.replace:
        songs = sum(row["songs"] for row in stale)
        raise UserError(f"--limit would drop {songs:,} songs of songs/; try on another --warehouse, or say --replace")
    if gone and not settings.replace:
        songs = sum(row["songs"] for row in stale if row["location"] in gone)
        raise UserError(
            f"songs/ has {songs:,} songs from {gone[0]}, which is not named now; "
            "name it too, or say --replace to drop them",
        )


def _is_passing(outcome: Outcome) -> bool:
    return any(one.reason in PASSING for one in outcome.rejected)


def work(session: SparkSession, settings: IngestSettings, units: Sequence[Unit]) -> None:
    """Let the workers read units and leave their outcomes.

    Raises
    ------
    UserError
        When a unit fails again and again; what others did is kept.
    """
    if not units:
        return
    warehouse = Warehouse(settings.warehouse)
    warehouse.filesystem.create_dir(warehouse.path(PARTS), recursive=True)
    context = session.sparkContext
    done, done_bytes = context.accumulator(0), context.accumulator(0)
    # The largest come first: a tar that came last would keep one worker busy while the others rest.
    tasks = share_out(sorted(units, key=lambda unit: -unit.size), context.defaultParallelism)
    read = unit_worker(settings, done.add, done_bytes.add)

    def read_all(task: list[Unit]) -> None:
        for unit in task:
            read(unit)

    total = sum(unit.size for unit in units)
    expected = None if any(unit.n_inputs is None for unit in units) else sum(unit.n_inputs or 0 for unit in units)
    counted = (lambda: done.value, expected) if expected else (lambda: done_bytes.value, total or None)
    with progress(session, "ingest: songs" if expected else "ingest: bytes", *counted):
        try:
            context.parallelize(tasks, len(tasks)).foreach(read_all)
        except Exception as error:  # whatever Spark wraps a worker's failure in
            reason = last_words(error)
            raise UserError(
                f"a unit failed: {reason}. Units that are done stay done; run the same command again"
            ) from error


def check_sums(units: Sequence[Unit], kept: Ledger, outcomes: Sequence[Outcome]) -> None:
    """Check that every unit has its outcome, and every input of it is a song, a rejection or a duplicate.

    Raises
    ------
    UserError
        With the first unit whose counts do not add up.
    """
    accounted = {row["unit"]: (row["inputs"], row["songs"] + row["rejected"] + row["duplicates"]) for row in kept}
    accounted |= {
        item.unit: (item.n_inputs, sum(item.files.values()) + len(item.rejected) + len(item.duplicates))
        for item in outcomes
    }
    for unit in units:
        expected, found = accounted.get(unit.name, (unit.n_inputs or 1, 0))
        expected = expected if unit.n_inputs is None else unit.n_inputs
        if expected != found:
            raise UserError(
                f"unit {unit.name} ({unit.inputs[0].source} …) has {expected} inputs, and {found} are accounted for; "
                "nothing was changed",
            )


def totals(ledger: Ledger) -> dict[str, int]:
    """Return the sums of the ledger's counts.

    Raises
    ------
    UserError
        When they do not add up.
    """
    sums = {name: sum(row[name] for row in ledger) for name in ("inputs", "songs", "rejected", "duplicates")}
    if sums["inputs"] != sums["songs"] + sums["rejected"] + sums["duplicates"]:
        raise UserError(f"the ledger does not add up: {sums}")
    return sums | {"units": len(ledger)}
