"""The examples of a dataset: made by workers from joined rows, and written to their planned files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from msd_spark.features import example_columns
from msd_spark.normalisation import Moments
from msd_spark.schema import ABSENT, EXAMPLES, Geometry, spark_schema
from msd_spark.spark import ArrowFunction
from msd_spark.warehouse import Warehouse

NORMALISED = ("chroma", "timbre", "lyric_vector")
"""Columns of an example whose mean and deviation are kept."""

PLACE = pa.schema([pa.field("split", pa.string()), pa.field("file", pa.int64()), pa.field("row", pa.int64())])
PLACED_EXAMPLES = pa.schema([*PLACE, *EXAMPLES])
WRITTEN = pa.schema(
    [
        pa.field("split", pa.string()),
        pa.field("file", pa.int64()),
        pa.field("rows", pa.int64()),
        *(pa.field(name, pa.list_(pa.float64())) for name in NORMALISED),
    ]
)
"""What a worker says of a file: its rows, and its features' moments (count, means, squared deviations)."""


@dataclass(frozen=True)
class ExampleFiles:
    """Where examples go, and their form.

    Attributes
    ----------
    warehouse : str
        Address of the warehouse.
    staging : str
        Folder, on the warehouse's filesystem, with a folder a split.
    geometry : Geometry
    rows_per_file : int
        Examples that a file has at most.
    """

    warehouse: str
    staging: str
    geometry: Geometry
    rows_per_file: int


def write_examples(
    session: SparkSession, songs: DataFrame, lyrics: DataFrame, plan: pd.DataFrame, target: ExampleFiles
) -> pd.DataFrame:
    """Write every planned example to its file; return a row a file, as in `WRITTEN`."""
    placed = session.createDataFrame(
        plan[["track_id", "song_id", "artist_group", "genre_index", "split", "file", "row"]]
    )
    heavy = songs.select("track_id", "segments_pitches", "segments_timbre")
    joined = heavy.join(sf.broadcast(placed), "track_id").join(
        lyrics.select("track_id", "lyric_vector"), "track_id", "left"
    )
    examples = joined.mapInArrow(_example_maker(target.geometry), spark_schema(PLACED_EXAMPLES))
    n_files = plan[["split", "file"]].drop_duplicates().shape[0]
    n_partitions = min(n_files, max(session.sparkContext.defaultParallelism * 4, n_files // 4))
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(target.rows_per_file))
    ordered = examples.repartition(n_partitions, "split", "file").sortWithinPartitions("split", "file", "row")
    return ordered.mapInArrow(_file_writer(target), spark_schema(WRITTEN)).toPandas()


def _example_maker(geometry: Geometry) -> ArrowFunction:
    """Return the function that turns joined rows into examples with their places."""

    def make(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not batch.num_rows:
                continue
            columns = example_columns(batch, geometry)
            made = {name: batch.column(name) for name in batch.schema.names}
            made |= {
                name: rows_to_lists(values) if values.ndim > 1 else pa.array(values) for name, values in columns.items()
            }
            for name, value in (("has_genre", 1), ("popularity_decile", ABSENT), ("has_listens", 0), ("weight", 1)):
                made[name] = pa.array(np.full(batch.num_rows, value))
            yield pa.RecordBatch.from_arrays(
                [made[item.name].cast(item.type) for item in PLACED_EXAMPLES], schema=PLACED_EXAMPLES
            )

    return make


def rows_to_lists(rows: np.ndarray) -> pa.ListArray:
    """Return an array of shape ``(n, …)`` as `n` lists of its flattened rows."""
    width = int(np.prod(rows.shape[1:]))
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(width)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)))


def _file_writer(target: ExampleFiles) -> ArrowFunction:
    """Return the function that writes sorted examples to their files, one row group each."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        warehouse = Warehouse(target.warehouse)
        for split, file, examples in _files(batches):
            with warehouse.finished_file(f"{target.staging}/{split}/{part_name(file)}") as unfinished:
                pq.write_table(
                    examples,
                    unfinished,
                    filesystem=warehouse.filesystem,
                    row_group_size=max(1, examples.num_rows),
                    compression="zstd",
                    use_dictionary=["track_id", "artist_group"],
                )
            row = {
                "split": split,
                "file": file,
                "rows": examples.num_rows,
                **feature_moments(examples, target.geometry),
            }
            yield pa.RecordBatch.from_pylist([row], WRITTEN)

    return write


def _files(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, int, pa.Table]]:
    """Cut a sorted stream of placed examples where the file changes."""
    held: list[pa.RecordBatch] = []
    place: tuple[str, int] | None = None
    for batch in batches:
        splits, files = batch.column("split").to_pylist(), batch.column("file").to_pylist()
        start = 0
        for end in range(1, batch.num_rows + 1):
            here = (splits[start], files[start])
            if end < batch.num_rows and (splits[end], files[end]) == here:
                continue
            if place is not None and here != place:
                yield *place, pa.Table.from_batches(held)
                held = []
            place = here
            held.append(batch.slice(start, end - start).select(EXAMPLES.names))
            start = end
    if place is not None:
        yield *place, pa.Table.from_batches(held)


def part_name(file: int) -> str:
    """Return the name of a split's file."""
    return f"part-{file:06d}.parquet"


def feature_moments(examples: pa.Table, geometry: Geometry) -> dict[str, list[float]]:
    """Return the moments of a file's features, segments of padding and absent lyrics left out."""
    lengths = examples["n_segments"].to_numpy()
    inside = geometry.mask(lengths).astype(bool)
    values = {}
    for name in ("chroma", "timbre"):
        rows = _flat(examples[name]).reshape(len(lengths), *geometry.segments_shape)
        values[name] = rows[inside]
    present = examples["has_lyrics"].to_numpy() > 0
    values["lyric_vector"] = _flat(examples["lyric_vector"]).reshape(len(lengths), geometry.lyric_size)[present]
    moments = {name: Moments.of(rows) for name, rows in values.items()}
    return {name: [item.count, *item.mean, *item.squares] for name, item in moments.items()}


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().flatten().to_numpy()


def normalisation(written: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Return mean and deviation of the features in some files, by column, as lists of numbers.

    Parameters
    ----------
    written : pandas.DataFrame
        Rows of `WRITTEN`, of the train split alone if nothing is to leak.
    """
    found = {}
    for name in NORMALISED:
        parts = [_moments(np.asarray(row, float)) for row in written.sort_values("file")[name]]
        mean, deviation = reduce(add, parts).mean_and_deviation()
        found[name] = {"mean": mean.tolist(), "deviation": deviation.tolist()}
    return found


def _moments(row: np.ndarray) -> Moments:
    mean, squares = row[1:].reshape(2, -1)
    return Moments(float(row[0]), mean, squares)
