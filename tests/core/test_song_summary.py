"""The summary of a song, against scipy, and what leaves it unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from msd_spark.core.song_summary import (
    SUMMARY_BLOCKS,
    SUMMARY_COLUMNS,
    SUMMARY_NAMES,
    SUMMARY_SIZE,
    song_summaries,
    summary_blocks,
)


def song(n_segments: int = 40, seed: int = 0, n_beats: int = 20) -> dict[str, Any]:
    """Return random columns of a song."""
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {name: generator.random() for name in SUMMARY_COLUMNS}
    columns |= {name: generator.random(n_segments) for name in SUMMARY_COLUMNS if name.startswith("segments_")}
    for level in ("beats", "bars", "tatums", "sections"):
        columns |= {f"{level}_start": np.sort(generator.random(n_beats) * 10)}
        columns |= {f"{level}_confidence": generator.random(n_beats)}
    return columns | {
        "segments_timbre": generator.normal(0, 40, n_segments * 12).astype(np.float32),
        "segments_pitches": generator.random(n_segments * 12).astype(np.float32),
        "segments_start": np.sort(generator.random(n_segments) * 10),
        "duration": 10.5,
        "key": 3.0,
        "mode": 1.0,
        "tempo": 120.0,
        "time_signature": 4.0,
    }


def blocks_of(columns: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the blocks of one song."""
    return {name: values[0] for name, values in summary_blocks([columns]).items()}


def summary_of(columns: dict[str, Any]) -> np.ndarray:
    """Return the summary of one song."""
    return np.asarray(song_summaries([columns])[0])


def test_a_summary_does_not_depend_on_the_other_songs() -> None:
    songs = [song(n, n, n_beats) for n, n_beats in ((1, 0), (40, 16), (2, 1), (9, 2), (700, 301), (33, 8))]
    for name, values in summary_blocks(songs).items():
        assert np.array_equal(values, [blocks_of(one)[name] for one in songs]), name


def test_names_and_blocks_cover_the_vector() -> None:
    assert summary_of(song()).shape == (SUMMARY_SIZE,) == (len(set(SUMMARY_NAMES)),)
    blocks = blocks_of(song())
    assert {name: np.size(values) for name, values in blocks.items()} == SUMMARY_BLOCKS


def test_statistics_of_timbre_are_those_of_scipy() -> None:
    columns = song()
    timbre = columns["segments_timbre"].reshape(-1, 12).astype(float)
    blocks, upper = blocks_of(columns), np.triu_indices(12, 1)
    assert blocks["timbre_mean"] == pytest.approx(timbre.mean(axis=0))
    assert blocks["timbre_log_deviation"] == pytest.approx(np.log(timbre.std(axis=0)), abs=1e-3)
    assert blocks["timbre_correlation"] == pytest.approx(np.corrcoef(timbre.T)[upper])
    assert blocks["timbre_skewness"] == pytest.approx(stats.skew(timbre))
    assert np.exp(blocks["timbre_log_kurtosis"]) == pytest.approx(stats.kurtosis(timbre, fisher=False), abs=2e-3)
    quantiles = np.percentile(timbre, [5, 25, 50, 75, 95], axis=0)
    assert blocks["timbre_quantiles"] == pytest.approx(quantiles)
    assert blocks["timbre_change_correlation"] == pytest.approx(np.corrcoef(np.diff(timbre, axis=0).T)[upper])
    parts = np.array([part.mean(axis=0) for part in np.split(timbre, 8)])
    assert np.exp(blocks["timbre_parts_log_deviation"]) == pytest.approx(parts.std(axis=0) + 0.01)


def test_chroma_is_rolled_to_the_key_and_intervals_are_mean_products() -> None:
    columns = song()
    chroma = columns["segments_pitches"].reshape(-1, 12).astype(float)
    blocks = blocks_of(columns)
    assert blocks["chroma_from_key_mean"] == pytest.approx(np.roll(chroma, -3, axis=1).mean(axis=0))
    expected = [(chroma * np.roll(chroma, lag, axis=1)).mean() for lag in range(1, 7)]
    assert blocks["chroma_intervals"] == pytest.approx(expected)


def test_intervals_of_a_steady_beat() -> None:
    columns = song() | {"beats_start": np.arange(0, 10, 0.5)}
    mean, deviation, *quantiles, rate, change, present = blocks_of(columns)["beats_log_interval"]
    assert [mean, *quantiles] == pytest.approx([np.log(0.5)] * 4)
    assert (deviation, change, present) == pytest.approx((0, 0, 1))
    assert rate == pytest.approx(np.log(19 / 10.5))


@given(st.integers(0, 11), st.integers(1, 30), st.integers(0, 100))
def test_transposing_chroma_and_key_changes_nothing(steps: int, n_segments: int, seed: int) -> None:
    columns = song(n_segments, seed)
    chroma = np.roll(columns["segments_pitches"].reshape(-1, 12), steps, axis=1)
    moved = columns | {"segments_pitches": chroma.ravel(), "key": (columns["key"] + steps) % 12}
    assert summary_of(moved) == pytest.approx(summary_of(columns), abs=1e-5)


@given(st.floats(0, 100), st.integers(2, 30), st.integers(0, 100))
def test_shifting_all_times_changes_no_duration_or_interval(seconds: float, n_segments: int, seed: int) -> None:
    columns = song(n_segments, seed)
    shifted = {name: values + seconds for name, values in columns.items() if name.endswith("_start")}
    shifted |= {"segments_loudness_start": columns["segments_loudness_start"], "duration": 10.5 + seconds}
    before, after = blocks_of(columns), blocks_of(columns | shifted)
    changed = {name for name in before if not np.allclose(before[name], after[name], atol=1e-6)}
    assert changed <= {"song", *(f"{level}_log_interval" for level in ("beats", "bars", "tatums", "sections"))}
    place = np.delete(np.arange(8), 5)  # the rate per second of the song
    assert before["beats_log_interval"][place] == pytest.approx(after["beats_log_interval"][place], abs=1e-6)


ODD = st.sampled_from([0.0, -1.0, 1e30, -1e30, float("nan"), float("inf"), 3.0])


@given(st.data(), st.integers(1, 12), st.integers(0, 4))
def test_every_number_is_finite(data: st.DataObject, n_segments: int, n_beats: int) -> None:
    columns = song(n_segments, n_beats=n_beats)
    for name in SUMMARY_COLUMNS:
        if name in ("segments_timbre", "segments_pitches"):
            columns[name] = columns[name] * data.draw(st.sampled_from([0.0, 1.0, 1e30]))
        elif isinstance(columns[name], float):
            columns[name] = data.draw(ODD)
        else:
            n = len(columns[name]) - data.draw(st.integers(0, 1))
            columns[name] = np.array(data.draw(st.lists(ODD, min_size=max(n, 0), max_size=max(n, 0))))
    assert np.isfinite(summary_of(columns)).all()


def test_a_song_of_one_segment_without_beats() -> None:
    blocks = blocks_of(song(1, n_beats=0))
    assert blocks["timbre_mean"] == pytest.approx(song(1, n_beats=0)["segments_timbre"])
    assert not blocks["timbre_autocorrelation"].any()
    assert not blocks["beats_log_interval"].any()
