"""Summarise a whole song as one vector: statistics of all its segments, beats and sections.

References
----------
.. [1] M. Mandel, D. Ellis, "Song-level features and support vector machines for music classification", ISMIR 2005:
   mean and covariance of timbre.
.. [2] A. Schindler, A. Rauber, "Capturing the temporal domain in Echonest features for improved classification
   effectiveness", AMR 2012: higher moments, quantiles, loudness and segment durations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msd_spark.core.song_layout import N_PITCHES

RHYTHM_LEVELS = ("beats", "bars", "tatums", "sections")
LAGS = (1, 2, 4, 8)
"""Lags, in segments, of the autocorrelation of timbre."""

N_PARTS = 8
"""Parts of a song, with equal numbers of segments, whose means of timbre are compared."""

QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
_PAIRS = N_PITCHES * (N_PITCHES - 1) // 2

SUMMARY_BLOCKS: dict[str, int] = {
    "timbre_mean": N_PITCHES,
    "timbre_log_deviation": N_PITCHES,
    "timbre_correlation": _PAIRS,
    "timbre_skewness": N_PITCHES,
    "timbre_log_kurtosis": N_PITCHES,
    "timbre_quantiles": len(QUANTILES) * N_PITCHES,
    "timbre_change_log_mean": N_PITCHES,
    "timbre_change_log_deviation": N_PITCHES,
    "timbre_change_correlation": _PAIRS,
    "timbre_autocorrelation": len(LAGS) * N_PITCHES,
    "timbre_parts_log_deviation": N_PITCHES,
    "chroma_from_key_mean": N_PITCHES,
    "chroma_from_key_log_deviation": N_PITCHES,
    "chroma_sorted_mean": N_PITCHES,
    "chroma_level": 3,
    "chroma_intervals": N_PITCHES // 2,
    "segment_log_duration": 4 + len(QUANTILES),
    **{f"{level}_log_interval": 8 for level in RHYTHM_LEVELS},
    "confidence": 2 * (len(RHYTHM_LEVELS) + 1),
    "log_ratios": 3,
    "loudness": 4 * (4 + len(QUANTILES)),
    "loudness_change": 4,
    "song": 14,
}
"""Width of each block of a summary, in order."""

SUMMARY_SIZE = sum(SUMMARY_BLOCKS.values())
SUMMARY_NAMES = tuple(f"{name}_{place}" for name, width in SUMMARY_BLOCKS.items() for place in range(width))
"""Name of each number of a summary."""

_ROWS = {
    "segments_loudness_max": 12,
    "segments_loudness_start": 13,
    "segments_loudness_max_time": 15,
    "segments_start": 16,
    "segments_confidence": 17,
}
"""Row of each column in `_segment_rows`."""

_NUMBERS = (
    *("key", "key_confidence", "mode", "mode_confidence", "tempo", "time_signature", "time_signature_confidence"),
    *("loudness", "duration", "end_of_fade_in", "start_of_fade_out"),
)

SUMMARY_COLUMNS = (
    *("segments_pitches", "segments_timbre", *_ROWS, *_NUMBERS),
    *(f"{level}_{part}" for level in RHYTHM_LEVELS for part in ("start", "confidence")),
)
"""Columns of ``songs/`` that `song_summaries` reads."""

LARGEST = 1e6
"""Bound of every input and result; real values are far smaller, so only damaged ones are changed."""

SMALLEST = 1e-3
"""Added to a standard deviation or mean before its logarithm."""

SEGMENT_SECONDS = 1e-3, 20.0
"""Bounds of the duration of a segment."""

INTERVAL_SECONDS = 1e-3, 600.0
"""Bounds of the interval between two beats, bars, tatums or sections."""

_UPPER, _LOWER = np.triu_indices(N_PITCHES, 1)
_PLACES = np.arange(N_PITCHES)
_APART = N_PITCHES * _PLACES + (_PLACES + np.arange(1, N_PITCHES // 2 + 1)[:, None]) % N_PITCHES
"""Places in a flat matrix of the pairs of pitch classes at each interval: shape ``(6, 12)``."""

Song = Mapping[str, np.ndarray | float]
"""The columns `SUMMARY_COLUMNS` of a song, with NaN for null and at least one segment."""


def song_summaries(songs: Sequence[Song]) -> np.ndarray:
    """Return the summary of each song: shape ``(n, SUMMARY_SIZE)``, float32.

    Its blocks are in the order of `SUMMARY_BLOCKS`. There is at least one song. Every number is finite if chroma and
    timbre are, and does not depend on the other songs. An array per segment that has another length than the segments
    is treated as zeros.
    """
    blocks = summary_blocks(songs)
    table = np.concatenate([blocks[name].reshape(len(songs), -1) for name in SUMMARY_BLOCKS], axis=1)
    return np.clip(table, -LARGEST, LARGEST).astype(np.float32)


def summary_blocks(songs: Sequence[Song]) -> dict[str, np.ndarray]:
    """Return the blocks of `song_summaries`, float64, by name; the first axis is that of songs."""
    numbers = {name: _finite([song[name] for song in songs]) for name in _NUMBERS}
    # The segments of one song fit into the cache of a core, those of many songs do not.
    reduced = [_reduced(song, duration) for song, duration in zip(songs, numbers["duration"].tolist(), strict=True)]
    of_songs = {name: np.array([one[name] for one in reduced]) for name in reduced[0]}
    duration = np.maximum(np.where(numbers["duration"] != 0, numbers["duration"], of_songs["end"]), 0.01)
    return (
        _segment_blocks(of_songs, numbers["key"].astype(int))
        | _rhythm_blocks(songs, of_songs, duration)
        | {"song": _song_block(numbers, duration)}
    )


def segment_seconds(starts: np.ndarray, duration: float) -> np.ndarray:
    """Return the duration of each segment in seconds, within `SEGMENT_SECONDS`.

    A segment lasts until the next one starts, the last one until the end of the song. If `duration` is 0, which means
    unknown, the last segment lasts 0.3 s.
    """
    seconds = np.empty(len(starts))
    seconds[:-1] = starts[1:] - starts[:-1]
    seconds[-1] = duration - starts[-1] if duration else 0.3
    return np.clip(seconds, *SEGMENT_SECONDS)


def _finite(values: Any) -> np.ndarray:
    """Return numbers within `LARGEST`, 0 for NaN."""
    numbers = np.clip(np.asarray(values, float), -LARGEST, LARGEST)
    numbers[np.isnan(numbers)] = 0.0
    return numbers


def _segment_rows(song: Song, duration: float) -> tuple[np.ndarray, float]:
    """Return one column per segment, float64, and the end of the last segment in seconds.

    The rows are timbre (0 to 11), peak and onset loudness, their difference, the logarithms of attack and duration,
    confidence, and chroma (18 to 29).
    """
    timbre, chroma = (np.reshape(song[f"segments_{name}"], (-1, N_PITCHES)) for name in ("timbre", "pitches"))
    rows = np.zeros((30, len(timbre)))
    rows[:12], rows[18:] = timbre.T, chroma.T
    for name, row in _ROWS.items():
        if np.size(song[name]) == len(timbre):
            rows[row] = song[name]
    rows[12:18] = _finite(rows[12:18])
    seconds = segment_seconds(rows[16], duration)
    end = rows[16, -1] + seconds[-1]
    rows[14] = rows[12] - rows[13]
    rows[15] = np.clip(rows[15], 1e-3, 5.0)
    rows[16] = seconds
    rows[15:17] = np.log(rows[15:17])
    return rows, end


def _reduced(song: Song, duration: float) -> dict[str, np.ndarray | float]:
    """Return moments, products and quantiles of the segments of a song, for `_segment_blocks`."""
    rows, end = _segment_rows(song, duration)
    n = rows.shape[1]
    mean, variance, centred = _centred(rows)
    squares = np.square(centred[:17])
    changes = np.diff(rows[:13]) if n > 1 else np.zeros((13, 1))
    _, change_variance, centred_changes = _centred(changes)
    ordered = np.full((18, n), np.inf)
    ordered[:17], ordered[17, : changes.shape[1]] = rows[:17], changes[12]
    ordered.sort()
    borders = np.arange(N_PARTS) * n // N_PARTS
    # A part without segments repeats the segment at its border.
    parts = np.add.reduceat(rows[:12], borders, axis=1) / np.maximum(np.diff(np.append(borders, n)), 1)
    return {
        "n": n,
        "end": end,
        "mean": mean,
        "variance": variance,
        "cubes": np.einsum("in,in->i", squares, centred[:17]) / n,
        "fourths": np.einsum("in,in->i", squares, squares) / n,
        "quantiles": _quantiles(ordered.ravel(), np.arange(18) * n, np.array([n] * 17 + [changes.shape[1]])),
        "products": _gram(centred[:12]),
        "lagged": [_lagged(centred[:12], lag) for lag in LAGS],
        "parts": parts,
        "change": np.abs(changes).mean(axis=1),
        "change_variance": change_variance,
        "change_products": _gram(centred_changes[:12]),
        "chroma_products": _gram(rows[18:]).ravel(),
        "high_chroma": np.count_nonzero(rows[18:] > 0.5) / n,
    }


def _centred(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and variance of each row, and the rows minus their means."""
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    return mean, np.einsum("in,in->i", centred, centred) / rows.shape[1], centred


def _gram(rows: np.ndarray) -> np.ndarray:
    """Return the mean products of all pairs of rows.

    Unlike a matrix product, `numpy.einsum` does not depend on the number of threads, so every process gets the same
    bits.
    """
    return np.einsum("in,jn->ij", rows, rows) / rows.shape[1]


def _lagged(rows: np.ndarray, lag: int) -> np.ndarray:
    """Return the mean product of each row with itself at a lag, 0 for rows that are not longer."""
    n_pairs = rows.shape[1] - lag
    return np.einsum("in,in->i", rows[:, lag:], rows[:, :-lag]) / n_pairs if n_pairs > 0 else np.zeros(len(rows))


def _quantiles(ordered: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return `QUANTILES` of sorted lists: shape ``(n_quantiles, n_lists)``.

    They are interpolated linearly. The lists are parts of `ordered` that begin at `first`; there is one more number
    after an empty list.
    """
    last = np.maximum(counts - 1, 0)
    position = QUANTILES[:, None] * last
    lower = position.astype(int)
    share = position - lower
    upper = np.minimum(lower + 1, last)
    return np.asarray(ordered[first + lower] * (1 - share) + ordered[first + upper] * share)


def _segment_blocks(of_songs: Mapping[str, np.ndarray], key: np.ndarray) -> dict[str, np.ndarray]:
    """Return the blocks that follow from the results of `_reduced`.

    These are timbre, chroma, duration and loudness of segments. `key` has shape ``(n,)``.
    """
    mean, deviation = of_songs["mean"], np.sqrt(of_songs["variance"])
    change, change_deviation = of_songs["change"], np.sqrt(of_songs["change_variance"])
    log_deviation, scale = np.log(deviation + SMALLEST), np.maximum(deviation, 1e-9)
    squares = np.square(scale[:, :17])
    skewness = of_songs["cubes"] / (squares * scale[:, :17])
    log_kurtosis = np.log(of_songs["fourths"] / np.square(squares) + SMALLEST)
    quantiles = of_songs["quantiles"]
    statistics = [mean[:, None, :17], log_deviation[:, None, :17], skewness[:, None], log_kurtosis[:, None]]
    described = np.concatenate([*statistics, quantiles[:, :, :17]], axis=1)
    chroma, chroma_deviation = mean[:, 18:], deviation[:, 18:]
    level = chroma.mean(axis=1)
    spread = np.sqrt((np.square(chroma_deviation) + np.square(chroma - level[:, None])).mean(axis=1))
    from_key = (_PLACES + key[:, None]) % N_PITCHES
    return {
        "timbre_mean": mean[:, :12],
        "timbre_log_deviation": log_deviation[:, :12],
        "timbre_correlation": _correlations(of_songs["products"], scale),
        "timbre_skewness": skewness[:, :12],
        "timbre_log_kurtosis": log_kurtosis[:, :12],
        "timbre_quantiles": quantiles[:, :, :12],
        "timbre_change_log_mean": np.log(change[:, :12] + SMALLEST),
        "timbre_change_log_deviation": np.log(change_deviation[:, :12] + SMALLEST),
        "timbre_change_correlation": _correlations(of_songs["change_products"], np.maximum(change_deviation, 1e-9)),
        "timbre_autocorrelation": of_songs["lagged"] / squares[:, None, :12],
        "timbre_parts_log_deviation": np.log(of_songs["parts"].std(axis=2) + 0.01),
        "chroma_from_key_mean": np.take_along_axis(chroma, from_key, axis=1),
        "chroma_from_key_log_deviation": np.take_along_axis(log_deviation[:, 18:], from_key, axis=1),
        "chroma_sorted_mean": np.sort(chroma),
        "chroma_level": np.stack([level, of_songs["high_chroma"], spread], axis=1),
        "chroma_intervals": of_songs["chroma_products"].take(_APART, axis=1).mean(axis=2),
        "segment_log_duration": described[:, :, 16],
        "loudness": described[:, :, 12:16],
        "loudness_change": np.stack([change[:, 12], change_deviation[:, 12], *quantiles[:, [0, 4], 17].T], axis=1),
    }


def _correlations(products: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.asarray(products[:, _UPPER, _LOWER] / (scale[:, _UPPER] * scale[:, _LOWER]))


def _rhythm_blocks(
    songs: Sequence[Song], of_songs: Mapping[str, np.ndarray], duration: np.ndarray
) -> dict[str, np.ndarray]:
    shape = len(songs), len(RHYTHM_LEVELS)
    starts, counts = _lists(songs, "start")
    intervals = _intervals(starts, counts, np.repeat(duration, shape[1])).reshape(*shape, -1)
    confidences = np.stack(_mean_and_deviation(*_lists(songs, "confidence")), axis=1).reshape(len(songs), -1)
    of_segments = [of_songs["mean"][:, 17, None], np.sqrt(of_songs["variance"][:, 17, None])]
    beats, bars, tatums, _ = 1 + counts.reshape(shape).T
    return {f"{level}_log_interval": intervals[:, place] for place, level in enumerate(RHYTHM_LEVELS)} | {
        "confidence": np.concatenate([confidences, *of_segments], axis=1),
        "log_ratios": np.log(np.stack([(1 + of_songs["n"]) / beats, tatums / beats, beats / bars], axis=1)),
    }


def _lists(songs: Sequence[Song], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the lists of all songs and levels, concatenated, and the length of each."""
    lists = [np.asarray(song[f"{level}_{part}"]) for song in songs for level in RHYTHM_LEVELS]
    return _finite(np.concatenate(lists)), np.array([len(one) for one in lists])


def _means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean of each list, 0 for an empty one."""
    means, filled = np.zeros(len(counts)), counts > 0
    means[filled] = np.add.reduceat(values, (np.cumsum(counts) - counts)[filled]) / counts[filled]
    return means


def _mean_and_deviation(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = _means(values, counts)
    return mean, np.sqrt(_means(np.square(values - np.repeat(mean, counts)), counts))


def _differences(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences of successive numbers of each list, and how many there are."""
    inside = np.ones(len(values), bool)
    inside[(np.cumsum(counts) - counts)[counts > 0]] = False
    return np.diff(values)[inside[1:]], np.maximum(counts - 1, 0)


def _intervals(starts: np.ndarray, counts: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Return statistics of the logarithms of the intervals in each list: shape ``(n_lists, 8)``.

    They are zeros for fewer than two intervals, otherwise mean, standard deviation, three quantiles, the logarithm of
    the intervals per second, the mean absolute difference of successive logarithms, and 1.
    """
    seconds, counts = _differences(starts, counts)
    logs = np.log(np.clip(seconds, *INTERVAL_SECONDS))
    changes, change_counts = _differences(logs, counts)
    ends = np.cumsum(counts)
    ordered = np.append(logs, 0.0)
    for first, end in zip(ends - counts, ends, strict=True):
        ordered[first:end].sort()
    low, _, median, _, high = _quantiles(ordered, ends - counts, counts)
    rate = np.log(np.maximum(counts, 1) / duration)
    moments = _mean_and_deviation(logs, counts)
    change = _means(np.abs(changes), change_counts)
    table = np.stack([*moments, low, median, high, rate, change, np.ones(len(counts))], axis=1)
    return np.where(counts[:, None] < 2, 0.0, table)


def _song_block(numbers: Mapping[str, np.ndarray], duration: np.ndarray) -> np.ndarray:
    mode, tempo, beats_per_bar = numbers["mode"], numbers["tempo"], numbers["time_signature"]
    fade_out = duration - np.where(numbers["start_of_fade_out"] != 0, numbers["start_of_fade_out"], duration)
    columns = [
        numbers["loudness"],
        mode,
        numbers["mode_confidence"],
        numbers["key_confidence"],
        mode * numbers["mode_confidence"],
        np.log(np.maximum(tempo, 20.0)),
        tempo == 0,
        np.isin(beats_per_bar, (3, 6)),
        beats_per_bar == 4,
        beats_per_bar == 1,
        numbers["time_signature_confidence"],
        np.log(duration),
        np.log1p(np.maximum(numbers["end_of_fade_in"], 0.0)),
        np.log1p(np.maximum(fade_out, 0.0)),
    ]
    return np.stack(columns, axis=1).astype(float)
