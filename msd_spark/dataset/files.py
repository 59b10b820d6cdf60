"""Assemble the examples of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.examples import ExampleForm, examples_table
from msd_spark.core.features import lyric_columns
from msd_spark.core.schemas import (
    ABSENT,
    FACTOR_VECTOR,
    LYRICS,
    PRESENCE,
    TAG_VECTOR,
)
from msd_spark.core.words import inverse_document_frequencies, word_columns

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


def assemble(planned: pa.Table, segments: Mapping[str, np.ndarray], form: ExampleForm) -> pa.Table:
    """Return the examples of a file.

    `planned` has the schema `PLANNED`; `segments` has the columns of `msd_spark.core.features.segment_columns` with all
    inputs, in the order of `planned`.
    """
    columns: dict[str, Any] = {name: planned[name] for name in planned.column_names}
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
    return examples_table(columns, form)


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
