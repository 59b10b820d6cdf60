"""Read metadata from ``track_metadata.db``, or from another SQLite database with a table ``songs``.

A local database is split into ranges of row ids; a remote one is copied and read by one worker.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pyarrow as pa

from msd_spark.core.filesystems import is_local
from msd_spark.ingest.units import Part
from msd_spark.io.databases import open_database
from msd_spark.songfile.metadata import MetadataError, Rows, as_array, known_columns
from msd_spark.songfile.song import text

TABLE = "songs"
SMALLEST_ROW_ID, LARGEST_ROW_ID = -(2**63), 2**63 - 1


def parts(location: str, rows: int) -> Iterator[Part]:
    """Yield the parts of a local database, of `rows` rows each; none of a remote one."""
    if not is_local(location):
        return
    with open_database(location) as database:
        _columns(database, location)
        start, after = 0, SMALLEST_ROW_ID
        # Reads every page of the table, which detects a truncated file.
        query = f"SELECT count(*), max(id) FROM (SELECT rowid AS id FROM {TABLE} WHERE rowid > ? ORDER BY id LIMIT ?)"
        while True:
            count, last = database.execute(query, (after, rows)).fetchone()
            if not count:
                return
            yield Part(start, start + count, (after, last))
            start, after = start + count, last


def read(location: str, part: Part | None, at_once: int) -> Iterator[Rows]:
    """Yield the rows of a part, or all rows of the table, `at_once` at a time."""
    after, last = part.mark if part else (SMALLEST_ROW_ID, LARGEST_ROW_ID)
    limit = part.stop - part.start if part else -1
    with open_database(location) as database:
        database.text_factory = text
        names = _columns(database, location)
        quoted = ", ".join(f'"{name}"' for name in names)
        cursor = database.execute(
            f"SELECT rowid, {quoted} FROM {TABLE} WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?",
            (after, last, limit),
        )
        while batch := cursor.fetchmany(at_once):
            row_ids, *columns = zip(*batch, strict=True)
            members = pa.array([f"rowid {row_id}" for row_id in row_ids])
            yield Rows(members, {name: as_array(list(column)) for name, column in zip(names, columns, strict=True)}, [])


def _columns(database: sqlite3.Connection, location: str) -> list[str]:
    """Return the columns to read."""
    query = "SELECT type, upper(sql) LIKE '%WITHOUT ROWID%' FROM sqlite_master WHERE name = ? COLLATE NOCASE"
    kind, no_row_ids = database.execute(query, (TABLE,)).fetchone() or ("table", 0)
    if kind != "table" or no_row_ids:
        raise MetadataError(
            "wrong_layout",
            f"{TABLE} of {location} is {'a view' if kind != 'table' else 'a table without row ids'}; copy it into a "
            f"table of another file: CREATE TABLE {TABLE} AS SELECT * FROM …",
        )
    names = [str(row[1]) for row in database.execute(f"PRAGMA table_info({TABLE})")]
    if not names:
        raise MetadataError("wrong_layout", f"{location} has no table {TABLE}")
    return known_columns(names, f"table {TABLE} of {location}")
