from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.features import example_columns, segment_features
from msd_spark.schema import GEOMETRY, Geometry

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
