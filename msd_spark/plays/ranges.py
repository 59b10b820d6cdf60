"""Spark frames over byte ranges of a file of triplets: counts, triplets and rejected lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from msd_spark.core.schemas import REJECTED, spark_schema
from msd_spark.formats.taste_profile import parse_lines
from msd_spark.io.byte_ranges import ByteRange, read_lines_of

RANGE = "location string, number long, start long, stop long, lines_before long"
COUNTS = pa.schema(
    [
        ("number", pa.int64()),
        ("song_id", pa.string()),
        ("lines", pa.int64()),
        ("rejected", pa.int64()),
        ("triplets", pa.int64()),
        ("plays", pa.int64()),
    ]
)
"""The lines of a range, by its number, or the triplets and plays of a song in a range, by its id."""

TRIPLETS = pa.schema([("user_id", pa.string()), ("song_id", pa.string()), ("plays", pa.int64())])
REJECTED_LINES = REJECTED.append(pa.field("lines", pa.int64()))
"""Rows of ``rejected/``, and a column of ones to add up."""

_SONGS = pa.schema([("song_id", pa.string()), ("triplets", pa.int64()), ("plays", pa.int64())])

RangeReader = Callable[[ByteRange, int], Iterator[dict[str, Any]]]
"""Yields batches as columns, from a range and the number of lines before it."""


def count_triplets(session: SparkSession, ranges: Iterable[ByteRange]) -> DataFrame:
    """Return rows of `COUNTS`."""

    def count(part: ByteRange, _lines_before: int) -> Iterator[dict[str, Any]]:
        n_lines = n_rejected = 0
        songs = _SONGS.empty_table()
        for lines in read_lines_of(part):
            block = parse_lines(lines.content, ended=lines.ended)
            n_lines += block.n_lines
            n_rejected += len(block.rejected)
            n_triplets = np.ones(len(block.plays), np.int64)
            triplets = pa.table(
                [block.song_ids, pa.array(n_triplets), pa.array(block.plays, pa.int64())], schema=_SONGS
            )
            grouped = pa.concat_tables([songs, triplets]).group_by("song_id")
            sums = grouped.aggregate([("triplets", "sum"), ("plays", "sum")])
            songs = sums.select(["song_id", "triplets_sum", "plays_sum"]).rename_columns(_SONGS.names)
        yield {"number": [part.number], "lines": [n_lines], "rejected": [n_rejected]}
        yield {name: songs[name].combine_chunks() for name in _SONGS.names}

    return _frame(session, dict.fromkeys(ranges, 0), count, COUNTS)


def read_triplets(session: SparkSession, ranges: Iterable[ByteRange]) -> DataFrame:
    """Return rows of `TRIPLETS`; other lines are skipped."""

    def read(part: ByteRange, _lines_before: int) -> Iterator[dict[str, Any]]:
        for lines in read_lines_of(part):
            block = parse_lines(lines.content, ended=lines.ended)
            yield {"user_id": block.user_ids, "song_id": block.song_ids, "plays": block.plays}

    return _frame(session, dict.fromkeys(ranges, 0), read, TRIPLETS)


def read_rejected(session: SparkSession, ranges: Mapping[ByteRange, int]) -> DataFrame:
    """Return rows of `REJECTED_LINES`, from ranges and the number of lines before each."""

    def read(part: ByteRange, lines_before: int) -> Iterator[dict[str, Any]]:
        for lines in read_lines_of(part):
            rejected = parse_lines(lines.content, ended=lines.ended).rejected
            if rejected:
                numbers, reasons, details = zip(*rejected, strict=True)
                first, n = lines_before + lines.first + 1, len(rejected)
                members = [f"line {first + number}" for number in numbers]
                yield {
                    "source": [part.location] * n,
                    "member": members,
                    "reason": reasons,
                    "detail": details,
                    "lines": [1] * n,
                }

    return _frame(session, ranges, read, REJECTED_LINES)


def _frame(session: SparkSession, ranges: Mapping[ByteRange, int], read: RangeReader, schema: pa.Schema) -> DataFrame:
    """Return the rows that `read` yields per range; columns that it omits are null."""
    rows = [(part.location, part.number, part.start, part.stop, before) for part, before in ranges.items()]
    frame = session.createDataFrame(session.sparkContext.parallelize(rows, len(rows)), RANGE)

    def read_all(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                lines_before = row.pop("lines_before")
                for columns in read(ByteRange(**row), lines_before):
                    n_rows = len(next(iter(columns.values())))
                    complete = {name: columns.get(name, pa.nulls(n_rows)) for name in schema.names}
                    arrays = [pa.array(complete[field.name], field.type) for field in schema]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return frame.mapInArrow(read_all, spark_schema(schema))
