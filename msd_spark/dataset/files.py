"""The files of a dataset: what a worker puts into one, how it writes it, and what it says of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.features import lyric_columns
from msd_spark.core.moments import Moments
from msd_spark.core.schemas import ABSENT, FACTOR_VECTOR, PRESENCE, SPLITS, TAG_VECTOR, Geometry
from msd_spark.core.warehouse import Warehouse

NORMALISED = ("chroma", "timbre", "lyric_vector")
"""Columns of an example whose mean and deviation are kept."""

PLANNED = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("song_id", pa.string()),
        pa.field("artist_group", pa.string(), nullable=False),
        pa.field("genre_index", pa.int32(), nullable=False),
        pa.field("popularity_decile", pa.int32(), nullable=False),
        pa.field("copy", pa.int32(), nullable=False),
        pa.field("lyric_vector", pa.list_(pa.float32())),
        pa.field("tags", pa.list_(pa.int32())),
        pa.field(FACTOR_VECTOR, pa.list_(pa.float32())),
    ]
)
"""The planned rows of a file, in their order: all of an example but its segments. ``tags`` are places in the
vocabulary; vectors are null where a track has none."""

# Measured on files of 256 rows: chroma has a thousand values, so that a dictionary takes a third of its bytes and makes
# it quicker to read; zstd takes 5 % less room than snappy, and 15 % more time to write.
COMPRESSION = "snappy"
DICTIONARY_COLUMNS = ("track_id", "song_id", "artist_group", "chroma.list.element")


def part_name(file: int) -> str:
    """Return the name of a split's file."""
    return f"part-{file:06d}.parquet"


def assemble(planned: pa.Table, segments: Mapping[str, np.ndarray], schema: pa.Schema, geometry: Geometry) -> pa.Table:
    """Return the examples of a file.

    Parameters
    ----------
    planned : pyarrow.Table
        In the schema `PLANNED`.
    segments : mapping
        ``chroma`` and ``timbre`` of shape ``(n, …)`` and ``n_segments`` ``(n,)``, in the same order.
    schema : pyarrow.Schema
        Of the examples, as `msd_spark.core.schemas.examples_schema` makes it.
    geometry : Geometry
    """
    n_rows = planned.num_rows
    columns: dict[str, Any] = {name: planned[name] for name in planned.column_names if name in schema.names}
    columns |= {**segments, **lyric_columns(planned["lyric_vector"].combine_chunks(), geometry)}
    for name in ("genre_index", "popularity_decile"):
        columns[PRESENCE[name]] = (planned[name].to_numpy() != ABSENT).astype(np.float32)
    columns["weight"] = np.ones(n_rows, np.float32)
    for name, source in ((TAG_VECTOR, "tags"), (FACTOR_VECTOR, FACTOR_VECTOR)):
        if name in schema.names:
            lists = planned[source].combine_chunks()
            width = int((schema.field(name).metadata or {})[WIDTH])
            columns[name] = _one_hot(lists, width) if name == TAG_VECTOR else _dense(lists, width)
            columns[PRESENCE[name]] = lists.is_valid().to_numpy(zero_copy_only=False).astype(np.float32)
    arrays = []
    for item in schema:
        column = columns[item.name]
        if isinstance(column, np.ndarray):
            column = rows_to_lists(column, item.type) if column.ndim > 1 else pa.array(column)
        arrays.append(column.cast(item.type))
    return pa.Table.from_arrays(arrays, schema=schema)


WIDTH = b"width"
"""Key of a field's metadata: how many numbers its vectors have."""


def with_widths(schema: pa.Schema, widths: Mapping[str, int]) -> pa.Schema:
    """Return a schema whose fields of these names say how long their vectors are."""
    for name, width in widths.items():
        place = schema.get_field_index(name)
        schema = schema.set(place, schema.field(place).with_metadata({WIDTH: str(width).encode()}))
    return schema


def _one_hot(lists: pa.ListArray, width: int) -> np.ndarray:
    """Return 1 in the places that each row lists, 0 elsewhere: shape ``(n, width)``, float32."""
    made = np.zeros((len(lists), width), np.float32)
    for row, places in enumerate(lists):
        if places.is_valid:
            made[row, places.values.to_numpy()] = 1
    return made


def _dense(lists: pa.ListArray, width: int) -> np.ndarray:
    """Return each row's vector, zeros where it is null: shape ``(n, width)``, float32."""
    made = np.zeros((len(lists), width), np.float32)
    made[lists.is_valid().to_numpy(zero_copy_only=False)] = lists.drop_null().flatten().to_numpy().reshape(-1, width)
    return made


def rows_to_lists(rows: np.ndarray, kind: pa.ListType) -> pa.ListArray:
    """Return an array of shape ``(n, …)`` as `n` lists of its flattened rows."""
    width = int(np.prod(rows.shape[1:]))
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(width)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)), type=kind)


def write_file(warehouse: Warehouse, examples: pa.Table, path: str) -> None:
    """Write examples to a file of one row group; it appears whole."""
    with warehouse.finished_file(path) as unfinished:
        pq.write_table(
            examples,
            unfinished,
            filesystem=warehouse.filesystem,
            row_group_size=max(1, examples.num_rows),
            compression=COMPRESSION,
            use_dictionary=list(DICTIONARY_COLUMNS),
            write_statistics=["track_id"],
        )


def feature_moments(examples: pa.Table, geometry: Geometry) -> dict[str, list[float]]:
    """Return the moments of examples' features, segments of padding and absent lyrics left out."""
    lengths = examples["n_segments"].to_numpy()
    inside = geometry.mask(lengths).astype(bool)
    values = {}
    for name in ("chroma", "timbre"):
        rows = _flat(examples[name]).reshape(len(lengths), *geometry.segments_shape)
        values[name] = rows.reshape(-1, geometry.n_pitches) if inside.all() else rows[inside]
    present = examples["has_lyrics"].to_numpy() > 0
    values["lyric_vector"] = _flat(examples["lyric_vector"]).reshape(len(lengths), geometry.lyric_size)[present]
    moments = {name: Moments.of(rows) for name, rows in values.items()}
    return {name: [item.count, *item.mean, *item.squares] for name, item in moments.items()}


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().flatten().to_numpy()


def normalisation(written: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Return mean and deviation of the features in the train split, by column, as lists of numbers.

    Parameters
    ----------
    written : pandas.DataFrame
        A row a file: ``split``, ``file`` and, for files of the train split, the moments that
        `feature_moments` gave of the first copy of each of its tracks. A track that is repeated
        to balance genres so counts once: repeating it tells nothing new about chroma and timbre.
    """
    train = written[written["split"] == SPLITS[0]].sort_values("file")
    found = {}
    for name in NORMALISED:
        mean, deviation = reduce(add, (_moments(np.asarray(row, float)) for row in train[name])).mean_and_deviation()
        found[name] = {"mean": mean.tolist(), "deviation": deviation.tolist()}
    return found


def _moments(row: np.ndarray) -> Moments:
    mean, squares = row[1:].reshape(2, -1)
    return Moments(float(row[0]), mean, squares)
