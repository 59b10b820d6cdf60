"""Average segment features on beats, the usual practice on the Million Song Dataset.

The features of a beat are the mean of the segments that sound during it, weighted by their overlap in seconds. Within
a song beats have about equal lengths, unlike segments, so a position in an example always means the same musical time.

References
----------
.. [1] T. Bertin-Mahieux, D. Ellis, "Large-scale cover song recognition using hashed chroma
   landmarks", WASPAA 2011; "Large-scale cover song recognition using the 2D Fourier transform
   magnitude", ISMIR 2012: beat-synchronous chroma from the dataset's segments and beats.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class BeatTimes(NamedTuple):
    """Start times of a song's segments and beats: columns of ``songs/`` with these names.

    Attributes
    ----------
    segments_start, beats_start : numpy.ndarray
        Shapes ``(n_segments,)`` and ``(n_beats,)``, seconds, increasing. Each lasts until the next one begins.
    duration : float
        End of the last segment and the last beat, seconds. If it is unknown (NaN) or too short, they end at the later
        of their starts.
    """

    segments_start: np.ndarray
    beats_start: np.ndarray
    duration: float


def average_on_beats(segments: np.ndarray, times: BeatTimes) -> np.ndarray:
    """Return the mean of the segments in each beat, weighted by their overlap in seconds.

    `segments` has shape ``(n_segments, n_columns)``, as many as there are times (`ValueError`). The result has shape
    ``(n, n_columns)``, float64, one row per beat that overlaps a segment. Segments before the first beat are ignored.
    """
    seconds, sounding, beat = overlaps(times)
    if len(times.segments_start) != len(segments):
        raise ValueError(f"{len(segments)} segments and {len(times.segments_start)} times of segments")
    if not len(seconds):
        return np.empty((0, segments.shape[1]))
    first = np.flatnonzero(np.r_[True, beat[1:] != beat[:-1]])
    weights = seconds[:, None]
    # Normalise the weights before multiplying: then a beat with one segment is bit-identical to that segment.
    shares = weights / np.repeat(np.add.reduceat(weights, first), np.diff(np.r_[first, len(beat)]), axis=0)
    return np.asarray(np.add.reduceat(segments[sounding] * shares, first))


def beat_seconds(times: BeatTimes) -> np.ndarray:
    """Return the seconds of each beat in which a segment sounds.

    There is one value per row of `average_on_beats`.
    """
    seconds, _, beat = overlaps(times)
    return np.bincount(beat, seconds)[np.unique(beat)]


def overlaps(times: BeatTimes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split the song at every start of a segment or beat; return the pieces that lie in both.

    Returns
    -------
    seconds : numpy.ndarray
        Length of each piece, greater than 0. They cover the time from the first beat (or the first segment, if that is
        later) to the end of the song.
    segment, beat : numpy.ndarray
        Indices of the segment and beat of each piece, increasing.
    """
    starts, beats = (np.maximum.accumulate(np.asarray(one, float)) for one in times[:2])
    if not len(starts) or not len(beats):
        return np.empty(0), np.empty(0, int), np.empty(0, int)
    end = np.nanmax([times.duration, starts[-1], beats[-1]])
    cuts = np.union1d(starts, beats)
    cuts = cuts[cuts >= max(starts[0], beats[0])]
    seconds = np.diff(np.r_[cuts, end])
    cuts, seconds = cuts[seconds > 0], seconds[seconds > 0]
    return seconds, np.searchsorted(starts, cuts, "right") - 1, np.searchsorted(beats, cuts, "right") - 1
