"""Compute the features of songs and lyrics for a model.

A song without valid features is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from msd_spark.core.features import lyric_columns, segment_columns, segment_shapes
from msd_spark.core.model_inputs import BASIC_INPUTS, WORD_INDICES
from msd_spark.core.schemas import Geometry
from msd_spark.core.words import word_columns
from msd_spark.scoring.trained_run import TrainedRun

NO_SEGMENTS, NOT_FINITE, LENGTH_MISMATCH = "no_segments", "not_finite", "length_mismatch"
"""Reasons for which a song has no features."""


Refused = tuple[int, str, str]
"""Row of the batch, reason and detail of a song without features."""


class SongFeatures(NamedTuple):
    """Features of the `rows` of a batch that have valid ones, and the refused other rows.

    `columns` are those of `msd_spark.core.features.segment_columns`.
    """

    columns: dict[str, np.ndarray]
    rows: np.ndarray
    refused: list[Refused]


def song_features(batch: pa.RecordBatch, geometry: Geometry, inputs: Collection[str] = BASIC_INPUTS) -> SongFeatures:
    """Return the features of songs for the named inputs, and the songs without features.

    `batch` has at least one song and the columns that `msd_spark.core.features.song_columns` names.
    """
    try:
        columns, rows = segment_columns(batch, geometry, inputs), np.arange(batch.num_rows)
        refused: list[Refused] = []
    except (ValueError, IndexError):
        columns, rows, refused = _one_by_one(batch, geometry, inputs)
    invalid = _invalid_rows(columns)
    if not invalid:
        return SongFeatures(columns, rows, refused)
    refused += [(int(rows[place]), *reason) for place, reason in invalid.items()]
    valid = np.delete(np.arange(len(rows)), list(invalid))
    return SongFeatures({name: values[valid] for name, values in columns.items()}, rows[valid], sorted(refused))


def lyric_features(run: TrainedRun, vectors: pa.Array, indices: pa.Array, counts: pa.Array) -> dict[str, np.ndarray]:
    """Return the columns of lyrics for a run's model; without lyrics, the lists are null."""
    columns = lyric_columns(vectors, run.geometry)
    if WORD_INDICES in run.inputs:
        columns |= word_columns(indices, counts, run.word_frequencies)
    return columns


def _invalid_rows(columns: dict[str, np.ndarray]) -> dict[int, tuple[str, str]]:
    """Return reason and detail of songs whose features are not valid, by their places."""
    invalid = {
        int(place): (NOT_FINITE, f"{name} has numbers that are not finite")
        for name in ("chroma", "timbre")
        for place in np.flatnonzero(~np.isfinite(columns[name]).all(axis=(1, 2)))
    }
    empty = np.flatnonzero(columns["n_segments"] < 1)
    return invalid | {int(place): (NO_SEGMENTS, "the song has no segments") for place in empty}


def _one_by_one(
    batch: pa.RecordBatch, geometry: Geometry, inputs: Collection[str]
) -> tuple[dict[str, np.ndarray], np.ndarray, list[Refused]]:
    computed = {"chroma", "timbre", *inputs}
    empty = {
        name: np.zeros((0, *shape), np.float32) for name, shape in segment_shapes(geometry).items() if name in computed
    }
    parts = [empty | {"n_segments": np.zeros(0, np.int32)}]
    rows, refused = [], []
    for row in range(batch.num_rows):
        try:
            # Taken, not sliced: the offsets of a slice's lists are those of the whole batch.
            parts.append(segment_columns(batch.take(pa.array([row])), geometry, inputs))
            rows.append(row)
        except (ValueError, IndexError) as error:
            refused.append((row, LENGTH_MISMATCH, str(error)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, np.array(rows, int), refused
