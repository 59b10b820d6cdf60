"""Write a Spark frame as Parquet files from the workers, and sum columns in the same pass.

Workers write through pyarrow, so that every filesystem of the warehouse is supported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from msd_spark.core.delta import DataFile, TableWriter
from msd_spark.core.schemas import spark_schema

ROWS_PER_GROUP = 1 << 18
"""Rows per row group; a worker holds one row group in memory."""


@dataclass(frozen=True)
class Sums:
    """Sums over the rows of a table, grouped by `key` and computed while the table is written.

    `columns` are of int64; they may be missing from the table's schema.
    """

    key: str
    columns: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        """Schema of the sums."""
        return pa.schema([pa.field(self.key, pa.string()), *(pa.field(name, pa.int64()) for name in self.columns)])


FILE = "\0"
"""Prefix of the keys of files: their counts are summed with the others, so each file is counted once."""

SIZE, ROWS = "bytes of the file", "rows of the file"


def write_parts(frame: DataFrame, writer: TableWriter, schema: pa.Schema, sums: Sums) -> pd.DataFrame:
    """Write each partition of a frame as one Parquet file.

    Add the files to the writer, and return the sums per value of the key. The frame is in the row order of the
    files, with the columns of `schema` and of `sums`.
    """
    with_files = pa.schema([*sums.schema, pa.field(SIZE, pa.int64()), pa.field(ROWS, pa.int64())])
    destination, counted = writer.destination, [*sums.columns, SIZE, ROWS]

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write a partition; yield its sums and its file."""
        context = TaskContext.get()
        totals, n_rows = sums.schema.empty_table(), 0
        file = sink = None
        with ExitStack() as stack:
            for rows in _in_groups(batches):
                if sink is None:
                    file = stack.enter_context(destination.create(context.partitionId() if context else 0))
                    sink = stack.enter_context(pq.ParquetWriter(file.sink, schema, compression="zstd"))
                sink.write_table(rows.select(schema.names).cast(schema), row_group_size=ROWS_PER_GROUP)
                totals, n_rows = _add(totals, rows, sums), n_rows + rows.num_rows
        zeros = pa.array([0] * totals.num_rows, pa.int64())
        yield from pa.table([*totals.columns, zeros, zeros], schema=with_files).combine_chunks().to_batches()
        if file is not None:
            row = [FILE + file.name, *(0 for _ in sums.columns), file.size, n_rows]
            yield pa.RecordBatch.from_arrays([pa.array([value]) for value in row], schema=with_files)

    columns = dict.fromkeys([*schema.names, *sums.schema.names])
    tallied = frame.select(*columns).mapInArrow(write, spark_schema(with_files))
    totals = tallied.groupBy(sums.key).agg(*(sf.sum(name).alias(name) for name in counted)).toPandas()
    is_file = totals[sums.key].str.startswith(FILE, na=False)
    files = totals[is_file].sort_values(sums.key)
    rows_of_files = files[[sums.key, SIZE, ROWS]].itertuples(index=False)
    writer.add(DataFile(key.removeprefix(FILE), int(size), int(rows)) for key, size, rows in rows_of_files)
    return totals.loc[~is_file, sums.schema.names].reset_index(drop=True)


def _in_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows in tables of `ROWS_PER_GROUP`; the last one may have fewer."""
    pending: list[pa.RecordBatch] = []
    n_rows = 0
    for batch in batches:
        while n_rows + batch.num_rows >= ROWS_PER_GROUP:
            room = ROWS_PER_GROUP - n_rows
            yield pa.Table.from_batches([*pending, batch.slice(0, room)])
            pending, n_rows, batch = [], 0, batch.slice(room)
        if batch.num_rows:
            pending.append(batch)
            n_rows += batch.num_rows
    if pending:
        yield pa.Table.from_batches(pending)


def _add(totals: pa.Table, rows: pa.Table, sums: Sums) -> pa.Table:
    both = pa.concat_tables([totals, rows.select(sums.schema.names).cast(sums.schema)])
    grouped = both.group_by(sums.key).aggregate([(name, "sum") for name in sums.columns])
    return grouped.select([sums.key, *(f"{name}_sum" for name in sums.columns)]).rename_columns(sums.schema.names)
