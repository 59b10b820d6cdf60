"""Untrained baseline features: mean and standard deviation of a song's timbre and chroma."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.core.features import PITCHES, TIMBRE
from msd_spark.core.schemas import GEOMETRY

SIZE = 4 * GEOMETRY.n_pitches
COLUMNS = ("track_id", TIMBRE, PITCHES)
"""Columns of ``songs/`` from which the features are computed, for the songs `WITH_SEGMENTS`."""

WITH_SEGMENTS = pc.field("n_segments") > 0
SCHEMA = pa.schema([pa.field("track_id", pa.string()), pa.field("features", pa.binary())])
BYTES = np.dtype("<f4")


def raw_features(timbre: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """Return a song's means and standard deviations of timbre, then of chroma.

    The result has shape ``(48,)``, float32; `timbre` and `pitches` ``(n_segments * 12,)``, with at least one row.
    """
    parts = [values.reshape(-1, GEOMETRY.n_pitches).astype(np.float64) for values in (timbre, pitches)]
    return np.concatenate([moment for part in parts for moment in (part.mean(axis=0), part.std(axis=0))]).astype(BYTES)


def standardise(features: np.ndarray) -> np.ndarray:
    """Scale features, ``(n, 48)``, to mean 0 and standard deviation 1; constant ones become 0."""
    mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    return ((features - mean) / np.where(scale < 1e-9, 1, scale)).astype(np.float32)


def arrange(table: pd.DataFrame, track_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of tracks, sorted by id, from the rows that `feature_batches` yields.

    Returns
    -------
    features : numpy.ndarray
        Shape ``(n, 48)``, float32; zero for a track without segments.
    present : numpy.ndarray
        Shape ``(n,)``, bool: whether a track has segments.
    """
    places = np.searchsorted(track_ids, table["track_id"].to_numpy(str)).clip(0, len(track_ids) - 1)
    requested = track_ids[places] == table["track_id"].to_numpy(str)
    features, present = np.zeros((len(track_ids), SIZE), np.float32), np.zeros(len(track_ids), bool)
    values = np.frombuffer(b"".join(table["features"]), BYTES).reshape(-1, SIZE)
    features[places[requested]], present[places[requested]] = values[requested], True
    return features, present


def feature_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the features of the songs in batches of `COLUMNS`, in the schema `SCHEMA`."""
    for batch in batches:
        timbre, pitches = batch.column(TIMBRE), batch.column(PITCHES)
        rows = [
            raw_features(timbre[row].values.to_numpy(), pitches[row].values.to_numpy()).tobytes()
            for row in range(batch.num_rows)
        ]
        yield pa.RecordBatch.from_arrays([batch.column("track_id"), pa.array(rows, pa.binary())], schema=SCHEMA)
