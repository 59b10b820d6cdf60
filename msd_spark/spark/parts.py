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

from msd_spark.core.schemas import spark_schema
from msd_spark.core.warehouse import Warehouse
from msd_spark.spark.session import ArrowFunction

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


def write_parts(frame: DataFrame, warehouse: Warehouse, staging: str, schema: pa.Schema, sums: Sums) -> pd.DataFrame:
    """Write each partition of a frame as one Parquet file; return the sums per value of the key.

    The frame is in the row order of the files, with the columns of `schema` and of `sums`; `staging` is from
    `Warehouse.replacing`.
    """
    columns = list(dict.fromkeys([*schema.names, *sums.schema.names]))
    writer = _part_writer(warehouse.address(), staging, schema, sums)
    tallied = frame.select(*columns).mapInArrow(writer, spark_schema(sums.schema))
    totals = tallied.groupBy(sums.key).agg(*(sf.sum(name).alias(name) for name in sums.columns)).toPandas()
    if not any(info.path.endswith(".parquet") for info in warehouse.list_files(staging)):
        pq.write_table(schema.empty_table(), f"{staging}/{part_name(0)}", filesystem=warehouse.filesystem)
    return totals


def part_name(number: int) -> str:
    """Return the name of a table's file."""
    return f"part-{number:05d}.parquet"


def _part_writer(uri: str, staging: str, schema: pa.Schema, sums: Sums) -> ArrowFunction:
    """Return the function that writes a partition and yields its sums."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        path = f"{staging}/{part_name(context.partitionId() if context else 0)}"
        totals = sums.schema.empty_table()
        with ExitStack() as stack:
            writer = None
            for rows in _in_groups(batches):
                if writer is None:
                    warehouse = Warehouse(uri)
                    unfinished = stack.enter_context(warehouse.finished_file(path))
                    writer = stack.enter_context(
                        pq.ParquetWriter(unfinished, schema, filesystem=warehouse.filesystem, compression="zstd")
                    )
                writer.write_table(rows.select(schema.names).cast(schema), row_group_size=ROWS_PER_GROUP)
                totals = _add(totals, rows, sums)
        yield from totals.combine_chunks().to_batches()

    return write


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
