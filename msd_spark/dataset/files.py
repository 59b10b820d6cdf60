"""Assemble and write the files of a dataset, and compute the normalisation of its features."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from msd_spark.core.arrow import one_row_group, rows_to_lists
from msd_spark.core.delta import DataFile, Destination
from msd_spark.core.features import lyric_columns
from msd_spark.core.moments import Moments
from msd_spark.core.schemas import (
    ABSENT,
    FACTOR_VECTOR,
    LYRICS,
    N_DYNAMICS,
    PRESENCE,
    SPLITS,
    TAG_VECTOR,
    Geometry,
    examples_schema,
)
from msd_spark.core.song_summary import SUMMARY_SIZE
from msd_spark.core.words import inverse_document_frequencies, word_columns

NORMALISED = ("chroma", "timbre", "lyric_vector", "summary", "dynamics")
"""Columns of an example whose mean and standard deviation are recorded."""

PLANNED = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("song_id", pa.string()),
        pa.field("artist_group", pa.string(), nullable=False),
        pa.field("genre_index", pa.int32(), nullable=False),
        pa.field("popularity_decile", pa.int32(), nullable=False),
        pa.field("copy", pa.int32(), nullable=False),
        pa.field("lyric_vector", pa.list_(pa.float32())),
        pa.field("word_indices", LYRICS.field("word_indices").type),
        pa.field("word_counts", LYRICS.field("word_counts").type),
        pa.field("tags", pa.list_(pa.int32())),
        pa.field(FACTOR_VECTOR, pa.list_(pa.float32())),
    ]
)
"""The planned rows of a file: everything in an example except its segments. ``tags`` are indices into the vocabulary;
lists are null for a track without tags, lyrics or factors."""

# Measured on files of 256 rows: chroma has about a thousand distinct values, so a dictionary takes a third of the bytes
# and is faster to read. zstd takes 5 % less space than snappy and 15 % more time to write.
COMPRESSION = "snappy"
DICTIONARY_COLUMNS = ("track_id", "song_id", "artist_group", "chroma.list.element")


@dataclass(frozen=True)
class ExampleForm:
    """Form of a dataset's examples; a length is 0 for a dataset without the column.

    `word_tracks` is the number of tracks with each word of ``lyric_words/``.
    """

    geometry: Geometry
    n_tags: int = 0
    n_factors: int = 0
    word_tracks: tuple[int, ...] = ()


def assemble(planned: pa.Table, segments: Mapping[str, np.ndarray], form: ExampleForm) -> pa.Table:
    """Return the examples of a file.

    `planned` has the schema `PLANNED`; `segments` has the columns of `msd_spark.core.features.segment_columns` with all
    inputs, in the order of `planned`.
    """
    schema = examples_schema(tags=form.n_tags > 0, factors=form.n_factors > 0)
    columns: dict[str, Any] = {name: planned[name] for name in planned.column_names if name in schema.names}
    indices, counts = (planned[name].combine_chunks() for name in ("word_indices", "word_counts"))
    columns |= word_columns(indices, counts, inverse_document_frequencies(np.array(form.word_tracks)))
    columns |= {**segments, **lyric_columns(planned["lyric_vector"].combine_chunks(), form.geometry)}
    for name in ("genre_index", "popularity_decile"):
        columns[PRESENCE[name]] = (planned[name].to_numpy() != ABSENT).astype(np.float32)
    columns["weight"] = np.ones(planned.num_rows, np.float32)
    if form.n_tags:
        tags = planned["tags"].combine_chunks()
        columns |= {TAG_VECTOR: _one_hot(tags, form.n_tags), PRESENCE[TAG_VECTOR]: _present(tags)}
    if form.n_factors:
        factors = planned[FACTOR_VECTOR].combine_chunks()
        columns |= {FACTOR_VECTOR: _dense(factors, form.n_factors), PRESENCE[FACTOR_VECTOR]: _present(factors)}
    arrays = []
    for item in schema:
        column = columns[item.name]
        if isinstance(column, np.ndarray):
            column = rows_to_lists(column, item.type) if column.ndim > 1 else pa.array(column)
        arrays.append(column.cast(item.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _present(lists: pa.ListArray) -> np.ndarray:
    return lists.is_valid().to_numpy(zero_copy_only=False).astype(np.float32)


def _one_hot(lists: pa.ListArray, width: int) -> np.ndarray:
    """Return 1 at the indices that each row lists, 0 elsewhere: shape ``(n, width)``, float32."""
    vectors = np.zeros((len(lists), width), np.float32)
    for row, indices in enumerate(lists):
        if indices.is_valid:
            vectors[row, indices.values.to_numpy()] = 1
    return vectors


def _dense(lists: pa.ListArray, width: int) -> np.ndarray:
    """Return each row's vector, zeros if it is null: shape ``(n, width)``, float32."""
    vectors = np.zeros((len(lists), width), np.float32)
    vectors[_present(lists) > 0] = lists.drop_null().flatten().to_numpy().reshape(-1, width)
    return vectors


def write_file(
    destination: Destination,
    examples: pa.Table,
    split: str,
    number: int,
    turn: AbstractContextManager[Any] | None = None,
) -> DataFile:
    """Write examples to a file of one row group; `turn` is that of `Destination.write`."""
    options = one_row_group(examples, compression=COMPRESSION, dictionary=DICTIONARY_COLUMNS)
    return destination.write(number, examples, split, turn, **options)


def feature_moments(examples: pa.Table, geometry: Geometry) -> dict[str, Moments]:
    """Return the moments of each of `NORMALISED`, without padding and absent lyrics."""
    lengths = examples["n_segments"].to_numpy()
    inside = geometry.mask(lengths).astype(bool)
    values = {}
    widths = {"chroma": geometry.n_pitches, "timbre": geometry.n_pitches, "dynamics": N_DYNAMICS}
    for name, width in widths.items():
        rows = _flat(examples[name]).reshape(len(lengths), geometry.n_segments, width)
        values[name] = rows.reshape(-1, width) if inside.all() else rows[inside]
    values["summary"] = _flat(examples["summary"]).reshape(-1, SUMMARY_SIZE)
    present = examples["has_lyrics"].to_numpy() > 0
    values["lyric_vector"] = _flat(examples["lyric_vector"]).reshape(len(lengths), geometry.lyric_size)[present]
    return {name: Moments.of(rows) for name, rows in values.items()}


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().flatten().to_numpy()


def normalisation(written: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Return the mean and standard deviation of each of `NORMALISED` in the train split.

    `written` has one row per file: ``split``, ``file`` and, for files of the train split, the `feature_moments` of the
    first copy of each track. A track repeated to balance genres counts once.
    """
    train = written[written["split"] == SPLITS[0]].sort_values("file")
    return {name: statistics(reduce(add, train[name])) for name in NORMALISED}


def statistics(moments: Moments) -> dict[str, list[float]]:
    """Return mean and standard deviation in the form of the metadata."""
    mean, deviation = moments.mean_and_deviation()
    return {"mean": mean.tolist(), "deviation": deviation.tolist()}
