"""Segment features averaged on beats, the usual practice on the Million Song Dataset.

A beat's features are the mean of the segments that sound during it, each weighted by the
seconds for which it does. Beats, unlike segments, are of about one length within a song, so
that a position in an example means the same musical time throughout.

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
    """When a song's segments and beats begin, in the columns of ``songs/`` of the same names.

    Attributes
    ----------
    segments_start, beats_start : numpy.ndarray
        Shape ``(n_segments,)`` and ``(n_beats,)``, seconds, increasing. Each segment and each
        beat lasts until the next one begins.
    duration : float
        Of the song, seconds: where the last segment and the last beat end. Where it is not
        known (NaN) or too short, they end where the later of the two begins.
    """

    segments_start: np.ndarray
    beats_start: np.ndarray
    duration: float


def average_on_beats(segments: np.ndarray, times: BeatTimes) -> np.ndarray:
    """Return the mean of the segments that sound in each beat, weighted by the seconds for which they do.

    Parameters
    ----------
    segments : numpy.ndarray
        Shape ``(n_segments, n_columns)``.
    times : BeatTimes

    Returns
    -------
    numpy.ndarray
        Shape ``(n, n_columns)``, float64, a row for each beat in which a segment sounds. What sounds
        before the first beat is in none of them.

    Raises
    ------
    ValueError
        When there are not as many times as segments.
    """
    seconds, sounding, beat = overlaps(times)
    if len(times.segments_start) != len(segments):
        raise ValueError(f"{len(segments)} segments and {len(times.segments_start)} times of segments")
    if not len(seconds):
        return np.empty((0, segments.shape[1]))
    first = np.flatnonzero(np.r_[True, beat[1:] != beat[:-1]])
    weights = seconds[:, None]
    # Weights are made shares before they are multiplied, so that a beat of one segment is that segment to the bit.
    shares = weights / np.repeat(np.add.reduceat(weights, first), np.diff(np.r_[first, len(beat)]), axis=0)
    return np.asarray(np.add.reduceat(segments[sounding] * shares, first))


def overlaps(times: BeatTimes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the song wherever a segment or a beat begins; return the pieces that lie in both.

    Returns
    -------
    seconds : numpy.ndarray
        Length of each piece, greater than 0; together the time from the first beat (or the first
        segment, if that is later) to the end of the song.
    segment, beat : numpy.ndarray
        The segment and the beat that each piece lies in, increasing.
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
