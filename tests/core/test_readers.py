"""Other programs read the tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from petastorm import make_batch_reader
from pyspark.sql import SparkSession

from msd_spark.core.warehouse import Warehouse

ROWS = {"track_id": ["a", "b", "c"], "vector": [[1.0, 2.0], [3.0], []], "year": [1999, None, 2001]}
SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32())),
        pa.field("year", pa.int32()),
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that was replaced once, in two files."""
    warehouse = Warehouse(str(tmp_path_factory.mktemp("readers")))
    table = pa.table(ROWS, schema=SCHEMA)
    warehouse.write_arrow(table, "songs")
    with warehouse.overwriting(SCHEMA, "songs") as writer:
        writer.write(table.slice(0, 2))
        writer.write(table.slice(2))
    return Path(warehouse.path("songs"))


def test_pandas(folder: Path) -> None:
    found = pd.read_parquet(folder).sort_values("track_id")
    assert found["track_id"].tolist() == ROWS["track_id"]
    assert [list(vector) for vector in found["vector"]] == ROWS["vector"]


def test_petastorm(folder: Path) -> None:
    with make_batch_reader(f"file://{folder}", reader_pool_type="dummy", schema_fields=["track_id"]) as reader:
        assert sorted(track for batch in reader for track in batch.track_id) == ROWS["track_id"]


def test_spark(spark: SparkSession, folder: Path) -> None:
    rows = spark.read.parquet(str(folder)).orderBy("track_id").collect()
    assert [(row.track_id, row.vector, row.year) for row in rows] == list(zip(*ROWS.values(), strict=True))


def test_duckdb(folder: Path) -> None:
    found = duckdb.sql(f"select track_id, vector, year from '{folder}/*.parquet' order by track_id")
    assert found is not None
    assert found.fetchall() == list(zip(*ROWS.values(), strict=True))


def test_polars_reads_the_current_version_through_the_log(folder: Path) -> None:
    found = pl.read_delta(str(folder)).sort("track_id")
    assert found.to_dict(as_series=False) == ROWS
