"""Commit ingested units: ``ledger/`` first, then ``songs/`` and ``rejected/`` from it.

The ledger names the files of every unit with its counts and rejections, so its commit is the one step in which an
ingest takes effect. `settle` then makes the other tables agree with it; if the driver dies in between, the next ingest
does so. An ingest of other inputs that ends at the same time is not lost: its units are in the ledger, and stay.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
from pyarrow import fs

from msd_spark.core import schemas
from msd_spark.core.delta import LOG, UNITS, ConflictError, Destination, Snapshot
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.repeated import Ledger, files_of, unit_of, without_repeated_tracks
from msd_spark.ingest.settings import LEDGER, PENDING, SONGS, VERB
from msd_spark.ingest.work import Outcome

T = TypeVar("T")

REJECTED = ("rejected", f"stage={VERB}")

ATTEMPTS = 30
"""Attempts at a commit while other ingests commit too."""

ABANDONED_AFTER = 7 * 24 * 3600.0
"""Seconds after which a file that no unit names belongs to an ingest that was killed, not to one that is running."""


def read_ledger(warehouse: Warehouse, table: str = LEDGER) -> Ledger:
    """Return the rows of the ledger, or of `PENDING`; none if there is no table."""
    return _until_alone(lambda: _rows(warehouse, table, warehouse.table(table).snapshot()))


class Version(NamedTuple):
    """A version of the ledger."""

    number: int
    rows: Ledger


def update(warehouse: Warehouse, change: Callable[[Ledger], Ledger]) -> Version:
    """Replace the rows of the ledger by `change(rows)`; return the new version.

    If another ingest commits meanwhile, the change is computed from its rows.
    """

    def attempt() -> Version:
        table = warehouse.table(LEDGER)
        base = table.snapshot()
        rows = change(_rows(warehouse, LEDGER, base))
        with table.overwriting(schemas.LEDGER, base=base) as writer:
            writer.write(pa.Table.from_pylist(rows, schemas.LEDGER))
        return Version(base.version + 1 if base else 0, rows)

    return _until_alone(attempt)


def _until_alone(attempt: Callable[[], T]) -> T:
    """Return the result of an attempt that no other ingest disturbed."""
    for number in range(ATTEMPTS):
        try:
            return attempt()
        except (ConflictError, FileNotFoundError):
            if number == ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, min(2.0, 0.05 * 2**number)))
    raise AssertionError("unreachable")


def _rows(warehouse: Warehouse, table: str, base: Snapshot | None) -> Ledger:
    rows: Ledger = []
    for file in base.files if base else ():
        try:
            rows += RowGroups(warehouse.filesystem, warehouse.path(table, file.name)).fetch().read().to_pylist()
        except FileNotFoundError:
            if table == LEDGER:  # PENDING may be removed by another ingest at any time
                warehouse.require(table)  # if no other ingest has replaced the file, the table is damaged
            raise
    return [{"skipped": 0, "skips": []} | row for row in rows]  # an older ledger has no skips


def keep_pending(warehouse: Warehouse, outcomes: Sequence[Outcome]) -> None:
    """Remember finished units, so that an ingest after a killed one does not read them again."""
    rows = pa.Table.from_pylist([outcome.ledger_row() for outcome in outcomes], schemas.LEDGER)

    def attempt() -> None:
        table = warehouse.table(PENDING)
        base = table.snapshot()
        with table.overwriting(schemas.LEDGER, base=base, clean=False) as writer:
            writer.kept = list(base.files) if base else []
            writer.write(rows)

    _until_alone(attempt)


def read_pending(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Return the rows of units that a killed ingest read, by unit, if their files still exist."""
    rows = read_ledger(warehouse, PENDING)
    names = {info.base_name for info in warehouse.list_files(warehouse.path(SONGS))} if rows else set()
    return {row["unit"]: row for row in rows if names.issuperset(row["files"])}


def damaged_units(warehouse: Warehouse, ledger: Ledger) -> set[str]:
    """Return the ledger's units with a file of ``songs/`` that is missing or changed in size."""
    sizes = {info.base_name: info.size for info in warehouse.list_files(warehouse.path(SONGS))} if ledger else {}
    return {row["unit"] for row in ledger if any(sizes.get(file.name) != file.size for file in files_of(row))}


def commit_units(
    warehouse: Warehouse, new: Iterable[dict[str, Any]], stale: Ledger, destination: Destination
) -> Ledger:
    """Add units to the ledger, and drop stale ones, in one commit; return the ledger.

    Then all tables are made to agree. A unit that another ingest has read again meanwhile stays as that ingest has read
    it.
    """
    added, old = {row["unit"]: row for row in new}, {row["unit"]: row["files"] for row in stale}

    def change(rows: Ledger) -> Ledger:
        now = {row["unit"]: row for row in rows}
        kept = {
            unit: row for unit, row in now.items() if unit not in old or (unit in added and row["files"] != old[unit])
        }
        return without_repeated_tracks(warehouse, {**added, **kept}, destination)

    ledger = update(warehouse, change)
    settle(warehouse, ledger)
    if warehouse.list_files(warehouse.path(PENDING)):
        done = {row["unit"] for row in ledger.rows} | set(added)
        if all(row["unit"] in done for row in read_ledger(warehouse, PENDING)):
            warehouse.remove(PENDING)
    return ledger.rows


def settle(warehouse: Warehouse, known: Version | None = None) -> None:
    """Make ``songs/`` and ``rejected/`` those of the ledger.

    Files that no table needs are deleted. `known` is a version of the ledger that need not be read again.
    """

    def attempt() -> Version | None:
        nonlocal known
        with ThreadPoolExecutor(2) as pool:  # most of the time is waiting for the store
            # Read before the ledger: if another ingest settles a later version meanwhile, the commits below conflict.
            bases = list(pool.map(lambda names: warehouse.table(*names).snapshot(), [(SONGS,), REJECTED]))
            newest = warehouse.table(LEDGER).snapshot()
            if newest is None:
                return None
            if known is None or known.number != newest.version:
                known = Version(newest.version, _rows(warehouse, LEDGER, newest))
            tables = pool.submit(_settle_songs, warehouse, known, bases[0])
            _settle_rejected(warehouse, known, bases[1])
        tables.result()
        return known

    if ledger := _until_alone(attempt):
        delete_unused(warehouse, ledger.rows)


def _settle_songs(warehouse: Warehouse, ledger: Version, base: Snapshot | None) -> None:
    wanted = {file for row in ledger.rows for file in files_of(row)}
    present = set(base.files) if base else set()
    if base and (present == wanted or not (wanted or sum(file.rows for file in present))):
        return
    with warehouse.table(SONGS).overwriting(schemas.SONGS, base=base, clean=False) as writer:
        writer.kept = [file for file in present if file in wanted]
        writer.add(sorted(wanted - present, key=lambda file: file.name))
        writer.notes[UNITS] = sorted({unit_of(file.name) for file in writer.files})


def _settle_rejected(warehouse: Warehouse, ledger: Version, base: Snapshot | None) -> None:
    """Write the rejections of a version of the ledger; its number is in the notes of the commit."""
    table = warehouse.table(*REJECTED)
    if base and base.notes.get(LEDGER) == ledger.number and not table.damage(base):
        return
    with table.overwriting(schemas.REJECTED, base=base) as writer:
        writer.notes[LEDGER] = ledger.number
        rejections = [one for row in ledger.rows for one in row["rejections"]]
        writer.write(pa.Table.from_pylist(rejections, schemas.REJECTED))


def delete_unused(warehouse: Warehouse, ledger: Ledger) -> None:
    """Delete files of older versions, and files that no ingest can commit any more.

    In ``songs/`` these are very old files, and those of a unit that are older than its files in the ledger: any other
    file may belong to a running ingest. In the other tables they are files older than the newest commit: each commit
    replaces all rows, so one based on an earlier version fails.
    """
    unit_of_file = {file: row["unit"] for row in ledger for file in row["files"]}

    def delete(names: tuple[str, ...]) -> None:
        infos = warehouse.list_files(warehouse.path(*names))
        files = [info for info in infos if info.base_name.endswith(".parquet") and f"/{LOG}/" not in info.path]
        commits = [info.mtime_ns for info in infos if re.fullmatch(r"\d{20}\.json", info.base_name)]
        written: dict[str, int] = {}
        for info in files:
            if unit := unit_of_file.get(info.base_name):
                written[unit] = max(info.mtime_ns, written.get(unit, 0))

        def abandoned(info: fs.FileInfo) -> bool:
            if names != (SONGS,):
                return bool(info.mtime_ns < max(commits, default=0))
            is_old = time.time_ns() - info.mtime_ns > ABANDONED_AFTER * 1e9
            return is_old or info.mtime_ns < written.get(unit_of(info.base_name), 0)

        # Versions of the other tables have one file each: if there is only one, none is unused.
        if any(info.base_name not in unit_of_file for info in files) if names == (SONGS,) else len(files) > 1:
            warehouse.table(*names).delete_unused(abandoned)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(delete, [(SONGS,), (LEDGER,), REJECTED]))
