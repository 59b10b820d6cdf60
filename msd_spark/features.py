"""From a song's segments to the features of an example: one pure function for dataset and scoring."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
        raise ValueError(f"chroma has {pitches.size} numbers and timbre {timbre.size}; both need the same multiple of {geometry.n_pitches}")
    length = min(pitches.size // geometry.n_pitches, geometry.n_segments)
    cropped = []
    for source in (pitches, timbre):
        target = np.zeros(geometry.segments_shape, np.float32)
        target[:length] = source.reshape(-1, geometry.n_pitches)[:length]
        cropped.append(target)
    return SegmentFeatures(cropped[0], cropped[1], length)
