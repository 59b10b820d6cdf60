"""Compute an example's features from a song's segments, for the dataset and for scoring."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from msd_spark.core.beats import BeatTimes, average_on_beats
from msd_spark.core.schemas import Geometry

PITCHES, TIMBRE = "segments_pitches", "segments_timbre"
"""Columns of ``songs/`` with a song's segments."""


class SegmentFeatures(NamedTuple):
    """A song's chroma and timbre in the geometry of an example.

    Attributes
    ----------
    chroma, timbre : numpy.ndarray
        Shape ``(n_segments, n_pitches)`` of the geometry, float32, zero from row `length`.
    length : int
        Number of rows with segments or beats.
    """

    chroma: np.ndarray
    timbre: np.ndarray
    length: int


def song_columns(geometry: Geometry) -> list[str]:
    """Return the columns of ``songs/`` that `segment_columns` reads."""
    return [PITCHES, TIMBRE, *(BeatTimes._fields if geometry.segments == "beats" else ())]


def segment_features(
    pitches: np.ndarray, timbre: np.ndarray, geometry: Geometry, times: BeatTimes | None = None
) -> SegmentFeatures:
    """Select the segments that the geometry specifies, padded with zeros.

    A song without beats is represented by its first segments even if the geometry specifies beats. With `segments`
    ``centre``, an odd surplus drops one more segment at the end.

    Parameters
    ----------
    pitches, timbre : numpy.ndarray
        Shape ``(n * n_pitches,)`` or ``(n, n_pitches)``: the song's segments, row by row. `ValueError` if they do not
        have the same whole number of rows.
    times : BeatTimes, optional
        Required for ``beats`` only.
    """
    if pitches.size != timbre.size or pitches.size % geometry.n_pitches:
        raise ValueError(
            f"chroma has {pitches.size} numbers and timbre {timbre.size}; "
            f"expected the same multiple of {geometry.n_pitches}"
        )
    sources = [values.reshape(-1, geometry.n_pitches) for values in (pitches, timbre)]
    if geometry.segments == "beats":
        if times is None:
            raise ValueError("the times of segments and beats are missing; beats need them")
        on_beats = average_on_beats(np.concatenate(sources, axis=1), times)
        if len(on_beats):
            sources = [on_beats[:, : geometry.n_pitches], on_beats[:, geometry.n_pitches :]]
    spare = max(0, len(sources[0]) - geometry.n_segments)
    start = spare // 2 if geometry.segments == "centre" else 0
    length = len(sources[0]) - spare
    cropped = []
    for source in sources:
        target = np.zeros(geometry.segments_shape, np.float32)
        target[:length] = source[start : start + length]
        cropped.append(target)
    return SegmentFeatures(cropped[0], cropped[1], length)


def segment_columns(batch: pa.RecordBatch, geometry: Geometry) -> dict[str, np.ndarray]:
    """Return songs, with the columns in `song_columns`, as columns of examples.

    ``chroma`` and ``timbre`` have shape ``(n, n_segments, n_pitches)``, ``n_segments`` has shape ``(n,)``.
    """
    columns = [_rows(batch.column(name)) for name in song_columns(geometry)]
    features = [
        segment_features(pitches, timbre, geometry, BeatTimes(*times) if times else None)
        for pitches, timbre, *times in zip(*columns, strict=True)
    ]
    return {
        "chroma": np.stack([item.chroma for item in features]),
        "timbre": np.stack([item.timbre for item in features]),
        "n_segments": np.array([item.length for item in features], np.int32),
    }


def _rows(column: pa.Array) -> list[np.ndarray]:
    """Return the lists of a column as arrays, or its numbers with NaN for null."""
    if not pa.types.is_list(column.type):
        return list(column.to_numpy(zero_copy_only=False).astype(float))
    offsets, values = column.offsets.to_numpy(), column.values.to_numpy()
    return [values[start:end] for start, end in pairwise(offsets)]


def lyric_columns(vectors: pa.Array, geometry: Geometry) -> dict[str, np.ndarray]:
    """Return lyric vectors (null without lyrics) as columns ``lyric_vector``, ``has_lyrics``."""
    present = vectors.is_valid().to_numpy(zero_copy_only=False)
    lyric = np.zeros((len(vectors), geometry.lyric_size), np.float32)
    lyric[present] = vectors.drop_null().flatten().to_numpy().reshape(-1, geometry.lyric_size)
    return {"lyric_vector": lyric, "has_lyrics": present.astype(np.float32)}
