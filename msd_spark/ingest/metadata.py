"""Read files of metadata as songs without segments: SQLite, CSV, Parquet and summary files.

A song file has more than its row here, so it takes the row's place in ``songs/``, whichever is ingested first.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple, cast

import pyarrow as pa

from msd_spark.core.errors import InputError, UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.rejections import Rejection
from msd_spark.ingest import csv_files, databases, parquet_files
from msd_spark.ingest.loose import failure, reason_of
from msd_spark.ingest.names import Skipped
from msd_spark.ingest.units import Kind, Part, SongInput, Unit
from msd_spark.io.folders import is_system_file, printable
from msd_spark.io.paged import open_seekable
from msd_spark.songfile.aggregate import read_summary
from msd_spark.songfile.metadata import Rows, songs_of

ROWS_PER_UNIT = 25_000
"""Rows per unit; a million are 40 units."""

ROWS_AT_A_TIME = 8192
"""Rows that a worker has in memory, and rows per row group of ``songs/``."""


class Format(NamedTuple):
    """How a kind of file is split into parts, and how a part of it, or all of it, is read."""

    parts: Callable[[str, int], Iterator[Part]]
    read: Callable[[str, Part | None, int], Iterator[Rows]]


_FORMATS = {
    re.compile(r"\.(db|sqlite3?)\Z", re.IGNORECASE): Format(databases.parts, databases.read),
    re.compile(r"\.(csv|tsv)(\.(gz|bz2|xz))?\Z", re.IGNORECASE): Format(csv_files.parts, csv_files.read),
    re.compile(r"\.(parquet|pq)\Z", re.IGNORECASE): Format(parquet_files.parts, parquet_files.read),
}

_ERRORS = (InputError, UserError, OSError, sqlite3.Error, pa.ArrowException, csv.Error, UnicodeError)
"""Errors of files that are damaged, have another content than their name, or cannot be read."""


def format_of(name: str) -> Format | None:
    """Return the format of a file of metadata by its name; None for any other file, summary files included."""
    if is_system_file(name):
        return None
    return next((item for form, item in _FORMATS.items() if form.search(name)), None)


def units_of(location: str, item: SongInput) -> Iterator[Unit]:
    """Yield the units of a file of metadata.

    A file that cannot be split, or not be read, is one unit with an unknown number of rows.
    """
    source = format_of(item.source)
    parts: list[Part] = []
    if source:
        try:
            parts = list(source.parts(item.source, ROWS_PER_UNIT))
        except _ERRORS:  # the worker that reads the unit rejects it
            parts = []
    yield from units_of_parts(location, item, parts)


def units_of_parts(location: str, item: SongInput, parts: list[Part]) -> Iterator[Unit]:
    """Yield the unit of each part of a file; without parts, that of the file."""
    n_rows = parts[-1].stop if parts else 0
    for part in parts or [Part(0, 0)]:
        share = (part.stop - part.start) / n_rows if n_rows else 1.0
        yield Unit.of(Kind.METADATA, location, [item], *part, size=round(item.size * share))


def read_metadata(unit: Unit) -> Iterator[pa.RecordBatch | Rejection | Skipped]:
    """Yield the songs of a unit in batches, and its rejections.

    If reading ends early, each row that is not read is rejected.
    """
    location = unit.inputs[0].source
    source, part = printable(location), Part(unit.start, unit.stop, unit.mark) if unit.stop else None
    form = format_of(location)
    read = form.read if form else _read_summary
    n_read = 0
    try:
        for rows in read(location, part, ROWS_AT_A_TIME):
            songs, refused = songs_of(rows, source)
            n_read += songs.num_rows + len(refused)
            yield songs
            yield from (Rejection(source, one.reason, one.detail, one.member) for one in refused)
    except _ERRORS as error:
        reason = error.reason if isinstance(error, InputError) else "unreadable_data"
        reason = reason_of(error) if isinstance(error, OSError) else reason
        detail = error.detail if isinstance(error, InputError) else failure(error)
        if part is None:
            yield Rejection(source, reason, detail, f"after row {n_read - 1}" if n_read else None)
        for row in range(n_read, part.stop - part.start if part else 0):
            yield Rejection(source, reason, detail, f"row {unit.start + row}")
    else:
        if not n_read:
            yield Skipped(source, "empty_table")


def _read_summary(location: str, part: Part | None, _at_once: int) -> Iterator[Rows]:
    filesystem, path, _ = open_location(location)
    with open_seekable(filesystem, path) as file:
        yield from read_summary(cast(IO[bytes], file), *(part or Part(0, 0))[:2])
