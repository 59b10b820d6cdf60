"""From a song's segments to the features of an example: one pure function for dataset and scoring."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from msd_spark.schema import Geometry


class SegmentFeatures(NamedTuple):
    """A song's chroma and timbre in the geometry of an example.

    Attributes
    ----------
    chroma, timbre : numpy.ndarray
        Shape ``(n_segments, n_pitches)`` of the geometry, float32, zero from row `length` on.
    length : int
        Rows that hold segments of the song.
    """

    chroma: np.ndarray
    timbre: np.ndarray
    length: int


def segment_features(pitches: np.ndarray, timbre: np.ndarray, geometry: Geometry) -> SegmentFeatures:
    """Crop a long song to its first segments and pad a short one with zeros.

    Parameters
    ----------
    pitches, timbre : numpy.ndarray
        Shape ``(n * n_pitches,)`` or ``(n, n_pitches)``: the song's segments, row after row.
    geometry : Geometry

    Raises
    ------
    ValueError
        When the two do not have the same whole number of rows.
    """
    if pitches.size != timbre.size or pitches.size % geometry.n_pitches:
        raise ValueError(
            f"chroma has {pitches.size} numbers and timbre {timbre.size}; "
            f"both need the same multiple of {geometry.n_pitches}"
        )
    length = min(pitches.size // geometry.n_pitches, geometry.n_segments)
    cropped = []
    for source in (pitches, timbre):
        target = np.zeros(geometry.segments_shape, np.float32)
        target[:length] = source.reshape(-1, geometry.n_pitches)[:length]
        cropped.append(target)
    return SegmentFeatures(cropped[0], cropped[1], length)


def example_columns(batch: pa.RecordBatch, geometry: Geometry) -> dict[str, np.ndarray]:
    """Return songs, joined with lyrics where they have any, as columns of examples.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        With ``segments_pitches``, ``segments_timbre`` and ``lyric_vector``, null where a song has none.
    geometry : Geometry

    Returns
    -------
    dict
        ``chroma`` and ``timbre`` of shape ``(n, 300, 12)``, ``lyric_vector`` ``(n, 50)``,
        ``n_segments`` and ``has_lyrics`` ``(n,)``.
    """
    features = [
        segment_features(pitches.values.to_numpy(), timbre.values.to_numpy(), geometry)
        for pitches, timbre in zip(batch.column("segments_pitches"), batch.column("segments_timbre"), strict=True)
    ]
    vectors = batch.column("lyric_vector")
    present = vectors.is_valid().to_numpy(zero_copy_only=False)
    lyric = np.zeros((batch.num_rows, geometry.lyric_size), np.float32)
    lyric[present] = vectors.drop_null().flatten().to_numpy().reshape(-1, geometry.lyric_size)
    return {
        "chroma": np.stack([item.chroma for item in features]),
        "timbre": np.stack([item.timbre for item in features]),
        "n_segments": np.array([item.length for item in features], np.int32),
        "lyric_vector": lyric,
        "has_lyrics": present.astype(np.float32),
    }
