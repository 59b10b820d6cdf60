"""Read metadata from Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from msd_spark.core.filesystems import open_location
from msd_spark.ingest.units import Part
from msd_spark.songfile.metadata import MetadataError, Rows, known_columns

READABLE = (
    *(types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null, types.is_dictionary),
    *(types.is_string, types.is_large_string, types.is_binary, types.is_large_binary),
)
"""Types of columns: numbers and text."""


def parts(location: str, rows: int) -> Iterator[Part]:
    """Yield the parts of a file, of `rows` rows each."""
    with _opened(location) as (file, _):
        n = file.metadata.num_rows
    yield from (Part(start, min(start + rows, n)) for start in range(0, n, rows))


def read(location: str, part: Part | None, at_once: int) -> Iterator[Rows]:
    """Yield the rows of a part, or of the whole file, at most `at_once` at a time."""
    with _opened(location) as (file, names):
        start, stop = (part.start, part.stop) if part else (0, file.metadata.num_rows)
        first = 0  # row of the file
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            if first + n > start and first < stop:
                yield from _read_group(file, group, names, first, (start, stop), at_once)
            first += n


def _read_group(
    file: pq.ParquetFile, group: int, names: list[str], first: int, wanted: tuple[int, int], at_once: int
) -> Iterator[Rows]:
    for batch in file.iter_batches(at_once, row_groups=[group], columns=names):
        start, stop = max(wanted[0] - first, 0), min(wanted[1] - first, batch.num_rows)
        if start < stop:
            rows = batch.slice(start, stop - start)
            members = pa.array([f"row {row}" for row in range(first + start, first + stop)])
            yield Rows(members, dict(zip(rows.schema.names, rows.columns, strict=True)), [])
        first += batch.num_rows
        if first >= wanted[1]:
            return


@contextmanager
def _opened(location: str) -> Iterator[tuple[pq.ParquetFile, list[str]]]:
    """Open a file; also return the columns to read."""
    filesystem, path, _ = open_location(location)
    with filesystem.open_input_file(path) as source:
        file = pq.ParquetFile(source)
        names = known_columns(file.schema_arrow.names, location)
        for name in names:
            kind = file.schema_arrow.field(name).type
            if not any(check(kind) for check in READABLE):
                raise MetadataError("wrong_layout", f"column {name} of {location} is {kind}; write numbers or text")
        yield file, names
