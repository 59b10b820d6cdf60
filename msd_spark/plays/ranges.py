"""Ranges of a file of triplets as Spark frames: counted, read, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from msd_spark.core.schemas import REJECTED, spark_schema
from msd_spark.formats.taste_profile import parse_lines
from msd_spark.io.byte_ranges import ByteRange, read_lines_of

RANGE = pa.schema(
    [
        pa.field("location", pa.string()),
        pa.field("number", pa.int64()),
        pa.field("start", pa.int64()),
        pa.field("stop", pa.int64()),
        pa.field("before", pa.int64()),
    ]
)
"""A range, and how many lines are before it."""

TALLY = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("song_id", pa.string()),
        pa.field("lines", pa.int64()),
        pa.field("rejected", pa.int64()),
        pa.field("triplets", pa.int64()),
        pa.field("plays", pa.int64()),
    ]
)
"""A range's lines and how many of them are rejected, or a song's triplets and plays in a range."""

TRIPLETS = pa.schema(
    [pa.field("user_id", pa.string()), pa.field("song_id", pa.string()), pa.field("plays", pa.int64())]
)
REJECTED_LINES = REJECTED.append(pa.field("lines", pa.int64()))
"""Rows of ``rejected/``, and a 1 to be added up."""

RangeReader = Callable[[ByteRange, int], Iterator[pa.RecordBatch]]


def count_triplets(session: SparkSession, ranges: Iterable[ByteRange]) -> DataFrame:
    """Return rows as in `TALLY`."""

    def tally(part: ByteRange, before: int) -> Iterator[pa.RecordBatch]:
        n_lines = n_rejected = 0
        songs = pa.table({"song_id": pa.array([], pa.string()), "plays": pa.array([], pa.int64())})
        songs = _per_song(songs, "count")
        for lines in read_lines_of(part):
            block = parse_lines(lines.content, ended=lines.ended)
            n_lines += block.n_lines
            n_rejected += len(block.rejected)
            found = pa.table({"song_id": block.song_ids, "plays": pa.array(block.plays, pa.int64())})
            songs = _per_song(pa.concat_tables([songs, _per_song(found, "count")]), "sum")
        yield _batch(TALLY, [[part.number], [None], [n_lines], [n_rejected], [0], [0]])
        nothing, zeros = pa.nulls(len(songs), pa.int64()), pa.array([0] * len(songs), pa.int64())
        columns = [nothing, songs["song_id"], zeros, zeros, songs["triplets"], songs["plays"]]
        yield from pa.Table.from_arrays(columns, schema=TALLY).combine_chunks().to_batches()

    return _frame(session, dict.fromkeys(ranges, 0), tally, TALLY)


def _per_song(table: pa.Table, how: str) -> pa.Table:
    """Return a row a song: its triplets, counted or added up, and its plays."""
    triplets = ("song_id", "count") if how == "count" else ("triplets", "sum")
    grouped = table.group_by("song_id").aggregate([triplets, ("plays", "sum")])
    return grouped.select(["song_id", f"{triplets[0]}_{triplets[1]}", "plays_sum"]).rename_columns(
        ["song_id", "triplets", "plays"]
    )


def read_triplets(session: SparkSession, ranges: Iterable[ByteRange]) -> DataFrame:
    """Return rows as in `TRIPLETS`, without the lines that are none."""

    def read(part: ByteRange, before: int) -> Iterator[pa.RecordBatch]:
        for lines in read_lines_of(part):
            block = parse_lines(lines.content, ended=lines.ended)
            yield _batch(TRIPLETS, [block.user_ids, block.song_ids, pa.array(block.plays, pa.int64())])

    return _frame(session, dict.fromkeys(ranges, 0), read, TRIPLETS)


def read_rejected(session: SparkSession, ranges: Mapping[ByteRange, int]) -> DataFrame:
    """Return rows as in `REJECTED_LINES`.

    Parameters
    ----------
    session : SparkSession
    stage : str
    ranges : mapping of ByteRange to int
        And how many lines are before each.
    """

    def read(part: ByteRange, before: int) -> Iterator[pa.RecordBatch]:
        for lines in read_lines_of(part):
            found = parse_lines(lines.content, ended=lines.ended).rejected
            if found:
                numbers, reasons, details = zip(*found, strict=True)
                first = before + lines.first + 1
                members = [f"line {first + number}" for number in numbers]
                n = len(found)
                columns = [[part.location] * n, members, list(reasons), list(details), [None] * n, [1] * n]
                yield _batch(REJECTED_LINES, columns)

    return _frame(session, ranges, read, REJECTED_LINES)


def _batch(schema: pa.Schema, columns: list) -> pa.RecordBatch:
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _frame(session: SparkSession, ranges: Mapping[ByteRange, int], read: RangeReader, schema: pa.Schema) -> DataFrame:
    """Return what `read` gives of each range, a range a task."""
    rows = [(part.location, part.number, part.start, part.stop, before) for part, before in ranges.items()]
    listed = session.sparkContext.parallelize(rows, len(rows))

    def of_ranges(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                before = row.pop("before")
                yield from read(ByteRange(**row), before)

    return session.createDataFrame(listed, spark_schema(RANGE)).mapInArrow(of_ranges, spark_schema(schema))
