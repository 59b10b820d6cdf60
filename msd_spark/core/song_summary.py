"""Summarise a whole song as one vector: statistics of all its segments, beats and sections.

References
----------
.. [1] M. Mandel, D. Ellis, "Song-level features and support vector machines for music classification", ISMIR 2005:
   mean and covariance of timbre.
.. [2] A. Schindler, A. Rauber, "Capturing the temporal domain in Echonest features for improved classification
   effectiveness", AMR 2012: higher moments, quantiles, loudness and segment durations.
"""

from __future__ import annotations

from collections.abc import Mapping

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

SUMMARY_COLUMNS = (
    "segments_pitches",
    "segments_timbre",
    "segments_start",
    "segments_loudness_max",
    "segments_loudness_max_time",
    "segments_loudness_start",
    "segments_confidence",
    *(f"{level}_{part}" for level in RHYTHM_LEVELS for part in ("start", "confidence")),
    *("key", "key_confidence", "mode", "mode_confidence", "tempo", "time_signature", "time_signature_confidence"),
    *("loudness", "duration", "end_of_fade_in", "start_of_fade_out"),
)
"""Columns of ``songs/`` that `song_summary` reads."""

LARGEST = 1e6
"""Bound of every input and result; real values are far smaller, so only damaged ones are changed."""

SMALLEST = 1e-3
"""Added to a standard deviation or mean before its logarithm."""

SEGMENT_SECONDS = 1e-3, 20.0
"""Bounds of the duration of a segment."""

INTERVAL_SECONDS = 1e-3, 600.0
"""Bounds of the interval between two beats, bars, tatums or sections."""

_UPPER = np.triu_indices(N_PITCHES, 1)
_PLACES = np.arange(N_PITCHES)


def song_summary(song: Mapping[str, np.ndarray | float]) -> np.ndarray:
    """Return the summary of a song: shape ``(SUMMARY_SIZE,)``, float32.

    The order is that of `SUMMARY_BLOCKS`. Every number is finite if chroma and timbre are. An array per segment that
    has another length than the segments is treated as zeros.

    Parameters
    ----------
    song : mapping
        The columns `SUMMARY_COLUMNS` of ``songs/``, with NaN for null. There is at least one segment.
    """
    blocks = summary_blocks(song)
    vector = np.concatenate([np.ravel(blocks[name]) for name in SUMMARY_BLOCKS])
    return np.clip(vector, -LARGEST, LARGEST).astype(np.float32)


def summary_blocks(song: Mapping[str, np.ndarray | float]) -> dict[str, np.ndarray]:
    """Return the blocks of `song_summary`, float64, by name."""
    timbre = np.asarray(song["segments_timbre"], float).reshape(-1, N_PITCHES).T.copy()
    chroma = np.asarray(song["segments_pitches"], float).reshape(-1, N_PITCHES).T.copy()
    n_segments = timbre.shape[1]
    per_segment = {
        name: _finite(song[name]) if np.size(song[name]) == n_segments else np.zeros(n_segments)
        for name in SUMMARY_COLUMNS
        if name.startswith("segments_") and name not in ("segments_timbre", "segments_pitches")
    }
    seconds = segment_seconds(per_segment["segments_start"], _number(song, "duration"))
    duration = max(_number(song, "duration") or per_segment["segments_start"][-1] + seconds[-1], 0.01)
    return (
        _timbre_blocks(timbre)
        | _chroma_blocks(chroma, int(_number(song, "key")))
        | {"segment_log_duration": _statistics(np.log(seconds)[None]).ravel()}
        | _rhythm_blocks(song, per_segment["segments_confidence"], n_segments, duration)
        | _loudness_blocks(per_segment)
        | {"song": _song_block(song, duration)}
    )


def segment_seconds(starts: np.ndarray, duration: float) -> np.ndarray:
    """Return the duration of each segment in seconds, within `SEGMENT_SECONDS`.

    A segment lasts until the next one starts, the last one until the end of the song. If `duration` is 0, which means
    unknown, the last segment lasts 0.3 s.
    """
    end = duration or starts[-1] + 0.3
    return np.clip(np.diff(np.append(starts, end)), *SEGMENT_SECONDS)


def _finite(values: np.ndarray | float) -> np.ndarray:
    return np.clip(np.nan_to_num(np.asarray(values, float)), -LARGEST, LARGEST)


def _number(song: Mapping[str, np.ndarray | float], name: str) -> float:
    """Return a scalar, 0 if it is missing."""
    value = float(song[name])
    return 0.0 if value != value else min(max(value, -LARGEST), LARGEST)


def _gram(rows: np.ndarray) -> np.ndarray:
    """Return the mean products of all pairs of rows.

    Unlike a matrix product, `numpy.einsum` does not depend on the number of threads, so every process gets the same
    bits.
    """
    return np.einsum("in,jn->ij", rows, rows) / rows.shape[1]


def _quantiles(ordered: np.ndarray) -> np.ndarray:
    """Return `QUANTILES` of sorted rows, interpolated linearly: shape ``(n_quantiles, n_rows)``."""
    position = QUANTILES * (ordered.shape[1] - 1)
    lower = position.astype(int)
    upper = np.minimum(lower + 1, ordered.shape[1] - 1)
    share = position - lower
    return np.asarray((ordered[:, lower] * (1 - share) + ordered[:, upper] * share).T)


def _standardised(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of each row, and the standardised rows."""
    mean = rows.mean(axis=1)
    centred = rows - mean[:, None]
    deviation = np.sqrt(np.square(centred).mean(axis=1))
    centred /= np.maximum(deviation, 1e-9)[:, None]
    return mean, deviation, centred


def _statistics(rows: np.ndarray) -> np.ndarray:
    """Return moments and quantiles of rows: shape ``(9, n_rows)``.

    These are mean, log standard deviation, skewness, log kurtosis and quantiles.
    """
    mean, deviation, scores = _standardised(rows)
    return np.vstack([mean, np.log(deviation + SMALLEST), *_shape_of(scores), _quantiles(np.sort(rows, axis=1))])


def _shape_of(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the skewness and the logarithm of the kurtosis of standardised rows."""
    squares = np.square(scores)
    return (squares * scores).mean(axis=1), np.log(np.square(squares).mean(axis=1) + SMALLEST)


def _timbre_blocks(timbre: np.ndarray) -> dict[str, np.ndarray]:
    mean, deviation, scores = _standardised(timbre)
    n_segments = timbre.shape[1]
    changes = np.diff(timbre, axis=1) if n_segments > 1 else np.zeros((N_PITCHES, 1))
    _, change_deviation, change_scores = _standardised(changes)
    skewness, log_kurtosis = _shape_of(scores)
    borders = np.arange(N_PARTS) * n_segments // N_PARTS
    sizes = np.diff(np.append(borders, n_segments))
    # A part without segments repeats the segment at its border.
    parts = np.add.reduceat(timbre, borders, axis=1) / np.maximum(sizes, 1)
    return {
        "timbre_mean": mean,
        "timbre_log_deviation": np.log(deviation + SMALLEST),
        "timbre_correlation": _gram(scores)[_UPPER],
        "timbre_skewness": skewness,
        "timbre_log_kurtosis": log_kurtosis,
        "timbre_quantiles": _quantiles(np.sort(timbre, axis=1)),
        "timbre_change_log_mean": np.log(np.abs(changes).mean(axis=1) + SMALLEST),
        "timbre_change_log_deviation": np.log(change_deviation + SMALLEST),
        "timbre_change_correlation": _gram(change_scores)[_UPPER],
        "timbre_autocorrelation": np.stack([_autocorrelation(scores, lag) for lag in LAGS]),
        "timbre_parts_log_deviation": np.log(parts.std(axis=1) + 0.01),
    }


def _autocorrelation(scores: np.ndarray, lag: int) -> np.ndarray:
    """Return the autocorrelation of standardised rows at a lag, 0 for rows that are not longer."""
    n_pairs = scores.shape[1] - lag
    if n_pairs < 1:
        return np.zeros(len(scores))
    return np.asarray(np.einsum("in,in->i", scores[:, lag:], scores[:, :-lag]) / n_pairs)


def _chroma_blocks(chroma: np.ndarray, key: int) -> dict[str, np.ndarray]:
    mean, deviation, _ = _standardised(chroma)
    from_key = (_PLACES + key) % N_PITCHES
    products = _gram(chroma)
    intervals = [products[_PLACES, (_PLACES + lag) % N_PITCHES].mean() for lag in range(1, N_PITCHES // 2 + 1)]
    return {
        "chroma_from_key_mean": mean[from_key],
        "chroma_from_key_log_deviation": np.log(deviation[from_key] + SMALLEST),
        "chroma_sorted_mean": np.sort(mean),
        "chroma_level": np.array([chroma.mean(), (chroma > 0.5).sum() / chroma.shape[1], chroma.std()]),
        "chroma_intervals": np.array(intervals),
    }


def _rhythm_blocks(
    song: Mapping[str, np.ndarray | float], confidence: np.ndarray, n_segments: int, duration: float
) -> dict[str, np.ndarray]:
    blocks, confidences = {}, list[float]()
    for level in RHYTHM_LEVELS:
        blocks[f"{level}_log_interval"] = _intervals(_finite(song[f"{level}_start"]), duration)
        values = _finite(song[f"{level}_confidence"])
        confidences += [values.mean(), values.std()] if len(values) else [0.0, 0.0]
    blocks["confidence"] = np.array([*confidences, confidence.mean(), confidence.std()])
    beats, bars, tatums = (1 + np.size(song[f"{level}_start"]) for level in ("beats", "bars", "tatums"))
    blocks["log_ratios"] = np.log([(1 + n_segments) / beats, tatums / beats, beats / bars])
    return blocks


def _intervals(starts: np.ndarray, duration: float) -> np.ndarray:
    """Return statistics of the logarithms of intervals, zeros for fewer than two intervals.

    They are mean, standard deviation, three quantiles, the logarithm of the intervals per second, the mean absolute
    difference of successive logarithms, and 1.
    """
    if len(starts) < 3:
        return np.zeros(8)
    logs = np.log(np.clip(np.diff(starts), *INTERVAL_SECONDS))
    low, _, median, _, high = _quantiles(np.sort(logs)[None])[:, 0]
    rate = np.log(len(logs) / duration)
    return np.array([logs.mean(), logs.std(), low, median, high, rate, np.abs(np.diff(logs)).mean(), 1.0])


def _loudness_blocks(per_segment: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    peak, onset = per_segment["segments_loudness_max"], per_segment["segments_loudness_start"]
    attack = np.log(np.clip(per_segment["segments_loudness_max_time"], 1e-3, 5.0))
    changes = np.diff(peak) if len(peak) > 1 else np.zeros(1)
    low, *_, high = _quantiles(np.sort(changes)[None])[:, 0]
    return {
        "loudness": _statistics(np.stack([peak, onset, peak - onset, attack])),
        "loudness_change": np.array([np.abs(changes).mean(), changes.std(), low, high]),
    }


def _song_block(song: Mapping[str, np.ndarray | float], duration: float) -> np.ndarray:
    mode, mode_confidence, tempo = (_number(song, name) for name in ("mode", "mode_confidence", "tempo"))
    beats_per_bar = _number(song, "time_signature")
    fade_in = max(0.0, _number(song, "end_of_fade_in"))
    fade_out = max(0.0, duration - (_number(song, "start_of_fade_out") or duration))
    return np.array(
        [
            _number(song, "loudness"),
            mode,
            mode_confidence,
            _number(song, "key_confidence"),
            mode * mode_confidence,
            np.log(max(tempo, 20.0)),
            tempo == 0,
            beats_per_bar in (3, 6),
            beats_per_bar == 4,
            beats_per_bar == 1,
            _number(song, "time_signature_confidence"),
            np.log(duration),
            np.log1p(fade_in),
            np.log1p(fade_out),
        ],
        float,
    )
