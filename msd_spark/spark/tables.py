"""Read tables of the warehouse on Spark's workers, through Arrow.

Java opens no file of a warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyspark.sql import DataFrame, SparkSession

from msd_spark.core.schemas import spark_schema
from msd_spark.core.warehouse import Warehouse
from msd_spark.spark.session import ArrowFunction


def map_table(
    session: SparkSession,
    warehouse: Warehouse,
    table: str,
    columns: Sequence[str],
    work: ArrowFunction,
    schema: pa.Schema,
    where: pc.Expression | None = None,
) -> DataFrame:
    """Return what `work` yields for the batches of a table, file by file.

    Parameters
    ----------
    columns : sequence of str
        Columns to read.
    schema : pyarrow.Schema
        Of what `work` yields.
    where : pyarrow.compute.Expression, optional
        Filter of the rows.
    """
    paths, uri = warehouse.paths(table), warehouse.address()

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        filesystem = Warehouse(uri).filesystem
        for batch in batches:
            for path in batch.column(0).to_pylist():
                rows = pads.dataset(path, filesystem=filesystem, format="parquet")
                yield from work(rows.to_batches(columns=list(columns), filter=where))

    n_tasks = max(1, min(len(paths), 4 * session.sparkContext.defaultParallelism))
    rows = session.sparkContext.parallelize([(path,) for path in paths], n_tasks)
    places = session.createDataFrame(rows, "path string")
    return places.mapInArrow(read, spark_schema(schema))
