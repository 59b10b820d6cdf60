from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.beats import BeatTimes
from msd_spark.core.features import lyric_columns, segment_columns, segment_dynamics, segment_features, song_columns
from msd_spark.core.schemas import GEOMETRY, Geometry

SMALL = Geometry(n_segments=3, n_pitches=2, lyric_size=2)


def test_a_short_song_is_padded_with_zeros() -> None:
    made = segment_features(np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7, 8]), SMALL)
    assert made.chroma.tolist() == [[1, 2], [3, 4], [0, 0]]
    assert made.timbre.tolist() == [[5, 6], [7, 8], [0, 0]]
    assert made.length == 2


def test_a_long_song_keeps_its_first_segments() -> None:
    made = segment_features(np.arange(10.0), -np.arange(10.0), SMALL)
    assert made.chroma.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert made.timbre.tolist() == [[0, -1], [-2, -3], [-4, -5]]
    assert made.length == 3


@given(n=st.integers(0, 40), n_segments=st.integers(1, 30), n_pitches=st.integers(1, 13), flat=st.booleans())
def test_shape_crop_and_padding_hold_for_every_length(n: int, n_segments: int, n_pitches: int, flat: bool) -> None:
    geometry = Geometry(n_segments=n_segments, n_pitches=n_pitches)
    pitches, timbre = np.random.default_rng(n).uniform(0.1, 1, (2, n, n_pitches)).astype(np.float32)
    made = segment_features(*((pitches.ravel(), timbre.ravel()) if flat else (pitches, timbre)), geometry)
    assert made.length == min(n, n_segments)
    mask = geometry.mask(np.array([made.length]))[0].astype(bool)
    assert mask.sum() == made.length
    for source, target in ((pitches, made.chroma), (timbre, made.timbre)):
        assert target.shape == geometry.segments_shape
        assert target.dtype == np.float32
        assert np.array_equal(target[mask], source[:n_segments])
        assert not target[~mask].any()


def test_the_song_is_not_changed_and_not_shared() -> None:
    pitches, timbre = np.ones(6, np.float32), np.ones(6, np.float32)
    made = segment_features(pitches, timbre, SMALL)
    made.chroma[:] = 7
    assert pitches.tolist() == timbre.tolist() == [1.0] * 6


def example_columns(batch: pa.RecordBatch, geometry: Geometry) -> dict[str, np.ndarray]:
    return segment_columns(batch, geometry) | lyric_columns(batch.column("lyric_vector"), geometry)


def joined(lengths: list[int], lyrics: list[list[float] | None], geometry: Geometry) -> pa.RecordBatch:
    width = geometry.n_pitches
    return pa.RecordBatch.from_pydict(
        {
            "segments_pitches": pa.array([[0.5] * n * width for n in lengths], pa.list_(pa.float32())),
            "segments_timbre": pa.array([[-3.0] * n * width for n in lengths], pa.list_(pa.float32())),
            "lyric_vector": pa.array(lyrics, pa.list_(pa.float32())),
        }
    )


def test_songs_without_lyrics_get_zeros_and_a_flag() -> None:
    columns = example_columns(joined([1, 5, 2], [[1, 2], None, [0, 0]], SMALL), SMALL)
    assert columns["n_segments"].tolist() == [1, 3, 2]
    assert columns["lyric_vector"].tolist() == [[1, 2], [0, 0], [0, 0]]
    assert columns["has_lyrics"].tolist() == [1, 0, 1]
    assert columns["chroma"].tolist()[0] == [[0.5, 0.5], [0, 0], [0, 0]]
    assert columns["timbre"].tolist()[1] == [[-3, -3]] * 3


@pytest.mark.parametrize("lyrics", [[None, None], [[1.0, 2.0], [3.0, 4.0]]])
def test_batches_in_which_none_or_all_have_lyrics(lyrics: list[list[float] | None]) -> None:
    columns = example_columns(joined([1, 1], lyrics, SMALL), SMALL)
    assert columns["lyric_vector"].tolist() == [row or [0, 0] for row in lyrics]
    assert columns["has_lyrics"].tolist() == [float(row is not None) for row in lyrics]


@given(st.data())
def test_a_slice_of_a_batch_gives_the_rows_of_the_slice(data: st.DataObject) -> None:
    songs = data.draw(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=8))
    lyrics: list[list[float] | None] = [[float(i), -1.0] if has else None for i, (_, has) in enumerate(songs)]
    batch = joined([n for n, _ in songs], lyrics, SMALL)
    start = data.draw(st.integers(0, len(songs) - 1))
    stop = data.draw(st.integers(start + 1, len(songs)))
    whole, part = example_columns(batch, SMALL), example_columns(batch.slice(start, stop - start), SMALL)
    assert whole.keys() == part.keys()
    for name, values in whole.items():
        assert np.array_equal(part[name], values[start:stop])


def test_the_real_geometry_gives_what_a_model_takes() -> None:
    columns = example_columns(joined([4, 3303], [[0.5] * 50, None], GEOMETRY), GEOMETRY)
    shapes = {name: values.shape for name, values in columns.items()}
    assert shapes == {
        "chroma": (2, 300, 12),
        "timbre": (2, 300, 12),
        "n_segments": (2,),
        "lyric_vector": (2, 50),
        "has_lyrics": (2,),
    }
    assert columns["n_segments"].tolist() == [4, 300]


@pytest.mark.parametrize(("n", "rows"), [(2, [0, 1]), (3, [0, 1, 2]), (4, [0, 1, 2]), (5, [1, 2, 3]), (8, [2, 3, 4])])
def test_the_centre_leaves_out_as_much_before_as_behind(n: int, rows: list[int]) -> None:
    # Three of n: n - 3 are left out, half of them (rounded down) in front.
    centre = Geometry(n_segments=3, n_pitches=1, segments="centre")
    made = segment_features(np.arange(n, dtype=float), -np.arange(n, dtype=float), centre)
    assert made.chroma[: made.length, 0].tolist() == rows
    assert made.timbre[: made.length, 0].tolist() == [-row for row in rows]
    assert not made.chroma[made.length :].any()


BEATS = Geometry(n_segments=3, n_pitches=1, segments="beats")


def test_beats_are_averaged_before_they_are_cropped() -> None:
    # Segments of one second each; beats of two. Means (0 + 1) / 2, (2 + 3) / 2, (4 + 5) / 2; the fourth is cropped.
    times = BeatTimes(np.arange(8.0), np.array([0.0, 2, 4, 6]), 8.0)
    made = segment_features(np.arange(8.0), -np.arange(8.0), BEATS, times)
    assert made.chroma.ravel().tolist() == [0.5, 2.5, 4.5]
    assert made.timbre.ravel().tolist() == [-0.5, -2.5, -4.5]
    assert made.length == 3


def test_a_song_without_beats_is_taken_by_its_first_segments() -> None:
    made = segment_features(np.arange(8.0), -np.arange(8.0), BEATS, BeatTimes(np.arange(8.0), np.empty(0), 8.0))
    assert made.chroma.ravel().tolist() == [0, 1, 2]


def test_beats_need_times() -> None:
    with pytest.raises(ValueError, match="the times of segments and beats are missing"):
        segment_features(np.arange(8.0), np.arange(8.0), BEATS)


def test_columns_that_are_read_are_those_that_are_needed() -> None:
    assert song_columns(GEOMETRY) == ["segments_pitches", "segments_timbre"]
    assert song_columns(BEATS) == ["segments_pitches", "segments_timbre", "segments_start", "beats_start", "duration"]


def test_beats_come_from_the_columns_of_songs_as_from_arrays() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "segments_pitches": pa.array([[9.0], [0.0, 1, 2, 3], [4.0, 6]], pa.list_(pa.float32())),
            "segments_timbre": pa.array([[9.0], [0.0, -1, -2, -3], [1.0, 3]], pa.list_(pa.float32())),
            "segments_start": pa.array([[0.0], [0.0, 1, 2, 3], [0.0, 1]], pa.list_(pa.float64())),
            "beats_start": pa.array([[0.0], [0.0, 2], [0.0]], pa.list_(pa.float64())),
            "duration": pa.array([1.0, 4.0, None], pa.float64()),
            "lyric_vector": pa.array([None] * 3, pa.list_(pa.float32())),
        }
    )
    columns = example_columns(batch.slice(1), BEATS)
    # The second song's end is not known: its last segment, at 1 s, has no length, and the beat is the first one alone.
    assert columns["chroma"][..., 0].tolist() == [[0.5, 2.5, 0], [4, 0, 0]]
    assert columns["n_segments"].tolist() == [2, 1]


def test_another_part_of_a_song_is_refused() -> None:
    with pytest.raises(ValueError, match="segments is 'last'; allowed: first, centre, beats"):
        Geometry(segments="last")
    assert Geometry(n_segments=300, n_pitches=12, lyric_size=50) == GEOMETRY


@pytest.mark.parametrize(("pitches", "timbre"), [(24, 12), (12, 0), (13, 13), (0, 1)])
def test_chroma_and_timbre_that_do_not_go_together(pitches: int, timbre: int) -> None:
    with pytest.raises(ValueError, match=f"chroma has {pitches} numbers and timbre {timbre}; .* multiple of 12"):
        segment_features(np.zeros(pitches), np.zeros(timbre), Geometry())


def test_lyric_vectors_of_another_size() -> None:
    with pytest.raises(ValueError, match="49"):
        lyric_columns(pa.array([[0.0] * 49], pa.list_(pa.float32())), Geometry())


def test_dynamics_are_loudness_log_seconds_and_confidence_of_the_same_segments() -> None:
    dynamics = segment_dynamics(np.array([-5.0, np.nan]), np.array([0.2, 0.9]), np.array([0.0, 0.5]), 2.5, 2)
    assert dynamics == pytest.approx(np.array([[-5, np.log(0.5), 0.2], [0, np.log(2), 0.9]]))
    geometry, segments = Geometry(n_segments=3), np.ones(24, np.float32)
    made = segment_features(segments, segments, geometry, dynamics=dynamics).dynamics
    assert made is not None
    assert made.shape == (3, 3)
    assert made[:2] == pytest.approx(dynamics)
    assert not made[2].any()


def test_dynamics_on_beats_have_the_seconds_of_the_beats() -> None:
    geometry, segments = Geometry(n_segments=3, segments="beats"), np.ones(24, np.float32)
    times = BeatTimes(np.array([0.0, 1.0]), np.array([0.5, 1.5]), 4.0)
    dynamics = segment_dynamics(np.array([-10.0, -20.0]), np.array([0.0, 1.0]), times.segments_start, 4.0, 2)
    made = segment_features(segments, segments, geometry, times, dynamics).dynamics
    assert made is not None
    assert made[:2] == pytest.approx(np.array([[-15, np.log(1.0), 0.5], [-20, np.log(2.5), 1]]))


def test_a_song_without_loudness_and_times_has_finite_dynamics() -> None:
    empty = np.zeros(0)
    assert np.isfinite(segment_dynamics(empty, empty, empty, float("nan"), 4)).all()
