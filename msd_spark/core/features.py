"""Compute an example's features from a song's segments, for the dataset and for scoring."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from msd_spark.core.beats import BeatTimes, average_on_beats, beat_seconds
from msd_spark.core.model_inputs import BASIC_INPUTS, DYNAMICS, SUMMARY, input_shapes
from msd_spark.core.schemas import N_DYNAMICS, Geometry
from msd_spark.core.song_summary import SEGMENT_SECONDS, SUMMARY_COLUMNS, SUMMARY_SIZE, segment_seconds, song_summaries

PITCHES, TIMBRE = "segments_pitches", "segments_timbre"
"""Columns of ``songs/`` with a song's segments."""

DYNAMICS_COLUMNS = ("segments_loudness_max", "segments_confidence", "segments_start", "duration")
"""Columns of ``songs/`` that `segment_dynamics` reads."""


class SegmentFeatures(NamedTuple):
    """A song's chroma and timbre in the geometry of an example.

    Attributes
    ----------
    chroma, timbre : numpy.ndarray
        Shape ``(n_segments, n_pitches)`` of the geometry, float32, zero from row `length`.
    length : int
        Number of rows with segments or beats.
    dynamics : numpy.ndarray, optional
        Shape ``(n_segments, 3)``, float32, zero from row `length`.
    """

    chroma: np.ndarray
    timbre: np.ndarray
    length: int
    dynamics: np.ndarray | None = None


def song_columns(geometry: Geometry, names: Collection[str] = BASIC_INPUTS) -> list[str]:
    """Return the columns of ``songs/`` that `segment_columns` reads for the named inputs."""
    columns = [PITCHES, TIMBRE, *(BeatTimes._fields if geometry.segments == "beats" else ())]
    columns += DYNAMICS_COLUMNS if DYNAMICS in names else ()
    columns += SUMMARY_COLUMNS if SUMMARY in names else ()
    return list(dict.fromkeys(columns))


def segment_dynamics(
    loudness: np.ndarray, confidence: np.ndarray, starts: np.ndarray, duration: float, n_segments: int
) -> np.ndarray:
    """Return loudness, log duration and confidence of segments.

    The shape is ``(n_segments, 3)``: loudness in dB, natural logarithm of the seconds, and confidence. An array of
    another length than `n_segments` is treated as zeros, and so is a value that is not finite.
    """
    if not n_segments:
        return np.zeros((0, N_DYNAMICS))
    values = np.zeros((N_DYNAMICS, n_segments))
    for row, array in zip(values, (loudness, starts, confidence), strict=True):
        row[:] = array if len(array) == n_segments else 0.0
    values[~np.isfinite(values)] = 0.0
    values[1] = np.log(segment_seconds(values[1], duration if np.isfinite(duration) else 0.0))
    return values.T


def segment_features(
    pitches: np.ndarray,
    timbre: np.ndarray,
    geometry: Geometry,
    times: BeatTimes | None = None,
    dynamics: np.ndarray | None = None,
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
    dynamics : numpy.ndarray, optional
        Result of `segment_dynamics`; a beat has the logarithm of its own seconds.
    """
    if pitches.size != timbre.size or pitches.size % geometry.n_pitches:
        raise ValueError(
            f"chroma has {pitches.size} numbers and timbre {timbre.size}; "
            f"expected the same multiple of {geometry.n_pitches}"
        )
    sources = [values.reshape(-1, geometry.n_pitches) for values in (pitches, timbre)]
    sources += [] if dynamics is None else [dynamics]
    if geometry.segments == "beats":
        if times is None:
            raise ValueError("the times of segments and beats are missing; beats need them")
        on_beats = average_on_beats(np.concatenate(sources, axis=1), times)
        if len(on_beats):
            sources = np.split(on_beats, np.cumsum([source.shape[1] for source in sources])[:-1], axis=1)
            if dynamics is not None:
                sources[2][:, 1] = np.log(np.clip(beat_seconds(times), *SEGMENT_SECONDS))
    spare = max(0, len(sources[0]) - geometry.n_segments)
    start = spare // 2 if geometry.segments == "centre" else 0
    length = len(sources[0]) - spare
    cropped = []
    for source in sources:
        target = np.zeros((geometry.n_segments, source.shape[1]), np.float32)
        target[:length] = source[start : start + length]
        cropped.append(target)
    return SegmentFeatures(cropped[0], cropped[1], length, *cropped[2:])


def segment_shapes(geometry: Geometry) -> dict[str, tuple[int, ...]]:
    """Return the shape of one example in each column of `segment_columns`.

    All inputs are included, except ``n_segments``.
    """
    return input_shapes(geometry, ("chroma", "timbre", DYNAMICS, SUMMARY))


def segment_columns(
    batch: pa.RecordBatch, geometry: Geometry, names: Collection[str] = BASIC_INPUTS
) -> dict[str, np.ndarray]:
    """Return songs, with the columns in `song_columns`, as columns of examples.

    ``chroma`` and ``timbre`` have shape ``(n, n_segments, n_pitches)``, ``n_segments`` has shape ``(n,)``; ``dynamics``
    ``(n, n_segments, 3)`` and ``summary`` ``(n, SUMMARY_SIZE)`` are computed only if they are in `names`.
    """
    read = song_columns(geometry, names)
    songs = [
        dict(zip(read, song, strict=True)) for song in zip(*(_rows(batch.column(name)) for name in read), strict=True)
    ]
    features = [_features_of(song, geometry, DYNAMICS in names) for song in songs]
    columns = {
        "chroma": np.stack([item.chroma for item in features]),
        "timbre": np.stack([item.timbre for item in features]),
        "n_segments": np.array([item.length for item in features], np.int32),
    }
    if DYNAMICS in names:
        columns[DYNAMICS] = np.stack([item.dynamics for item in features if item.dynamics is not None])
    if SUMMARY in names:
        columns[SUMMARY] = np.zeros((len(songs), SUMMARY_SIZE), np.float32)
        if filled := [row for row, song in enumerate(songs) if len(song[TIMBRE])]:
            columns[SUMMARY][filled] = song_summaries([songs[row] for row in filled])
    return columns


def _features_of(song: Mapping[str, Any], geometry: Geometry, with_dynamics: bool) -> SegmentFeatures:
    times = BeatTimes(*(song[name] for name in BeatTimes._fields)) if geometry.segments == "beats" else None
    dynamics = None
    if with_dynamics:
        n_segments = len(song[TIMBRE]) // geometry.n_pitches
        loudness, confidence, starts, duration = (song[name] for name in DYNAMICS_COLUMNS)
        dynamics = segment_dynamics(loudness, confidence, starts, duration, n_segments)
    return segment_features(song[PITCHES], song[TIMBRE], geometry, times, dynamics)


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
