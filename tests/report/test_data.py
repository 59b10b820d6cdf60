"""Data for the report's scripts: safe, complete, and within the stated precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.warehouse import Warehouse
from msd_spark.report.data.details import CHUNK, chunks, detail_rows, neighbour_lists
from msd_spark.report.data.heatmaps import Segments, heatmap_data, read_segments
from msd_spark.report.data.map_data import MOST_ARTISTS, UNKNOWN, map_data, plane, sample_by, traits
from msd_spark.report.scripts import LEVELS, PACKED_TYPES, as_json, as_script, packed, packed_rows
from tests.support.report_data import restored, unpacked
from tests.support.report_run import HOSTILE
from tests.support.song_tables import song, write_songs

TEXTS = st.text(st.characters(), max_size=30) | st.sampled_from(HOSTILE)


@given(st.recursive(TEXTS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_any_content_is_restored_and_cannot_end_a_script(content: object) -> None:
    written = as_json(content)
    assert json.loads(written) == content
    assert written.isascii()
    assert not set("<>&\u2028\u2029\r\n") & set(written)


def test_nan_is_rejected() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        as_script("x", [float("nan")])


@given(st.sampled_from(sorted(PACKED_TYPES)), st.lists(st.integers(0, 255)))
def test_arrays_are_restored(kind: str, values: list[int]) -> None:
    array = np.array(values, kind)
    restored = unpacked(json.loads(as_json(packed(array))))
    assert restored.dtype.name == kind
    np.testing.assert_array_equal(restored, array)


def test_an_unsupported_type_is_rejected() -> None:
    with pytest.raises(TypeError, match="not float64"):
        packed(np.zeros(2))


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 3))
def test_a_sample_has_each_group_in_its_share(groups: list[str | None], size: int, seed: int) -> None:
    rows = sample_by(pd.Series(groups, dtype=object), size, seed)
    assert len(rows) == min(size, len(groups)) == len(set(rows.tolist()))
    assert (np.diff(rows) > 0).all()
    for group in set(groups):
        count = sum(groups[row] == group for row in rows)
        assert abs(count - len(rows) * groups.count(group) / len(groups)) <= 1.5
    np.testing.assert_array_equal(rows, sample_by(pd.Series(groups, dtype=object), size, seed))


def test_the_plane_is_that_of_most_variance() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    singular = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    assert np.square(plane(vectors)).sum(axis=0) == pytest.approx(np.square(singular[:2]), rel=1e-4)
    assert plane(vectors[:1]).tolist() == [[0, 0]]


def songs(**columns: list[Any]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    empty = ("genre", "predicted_genre", "artist_name", "year", "popularity_decile", "split", "title")
    table = pd.DataFrame({name: pd.Series([None] * n, dtype=object) for name in empty})
    return table.assign(track_id=[f"TR{row}" for row in range(n)], x=np.zeros(n), y=np.zeros(n), **columns)


def test_traits_without_songs_are_left_out_and_unknown_values_are_counted() -> None:
    (genre,) = traits(songs(genre=["Rap", None, "Blues", "Rap"]), "cd1")
    assert genre["title"] == "genre (cd1)"
    assert (genre["names"], genre["counts"], genre["others"]) == (["Blues", "Rap"], [1, 2], 1)
    assert unpacked(genre["codes"]).tolist() == [1, UNKNOWN, 0, 1]


def test_decades_and_deciles_are_ordered_and_only_the_top_artists_have_a_colour() -> None:
    names = [f"artist {row % (MOST_ARTISTS + 3)}" for row in range(40)]
    artist, decade, popularity = traits(
        songs(artist_name=names, year=[1999.0] * 39 + [1955.0], popularity_decile=[9.0] * 20 + [0.0] * 20), None
    )
    assert len(artist["names"]) == MOST_ARTISTS
    assert artist["others"] == 40 - sum(artist["counts"]) > 0
    assert artist["other"] == "other artists"
    assert decade["names"] == ["1950s", "1990s"]
    assert popularity["names"] == ["decile  1 (least played)", "decile 10 (most played)"]


def test_unknown_titles_are_null() -> None:
    data = map_data(songs(title=["a", None], artist_name=[None, "b"]), None)
    assert data["titles"] == ["a", None]
    assert data["artists"]["names"] == ["b"]
    assert unpacked(data["artists"]["codes"]).tolist() == [0, 1]


def test_neighbours_outside_the_report_are_left_out() -> None:
    rows = [("b", 2, "a", 0.5), ("b", 1, "c", 0.25), ("a", 1, "z", 0.1), ("z", 1, "a", 0.1)]
    table = pd.DataFrame(rows, columns=["track_id", "rank", "neighbour_id", "distance"])
    assert neighbour_lists(table, pd.Series(["a", "b", "c"])) == [[], [[2, 0.25], [0, 0.5]], []]


def test_unknown_facts_are_left_out() -> None:
    nothing = dict.fromkeys(("release", "year", "duration", "tempo", "key", "mode", "plays", "listeners"), None)
    unknown = nothing | {"genre_probabilities": None, "has_lyrics": 0.0, "n_segments": 4}
    known = unknown | {"release": "R", "year": 1999.0, "key": 9.0, "mode": 0.0, "has_lyrics": 1.0}
    known |= {"duration": 61.4, "genre_probabilities": np.array([0.25, 0.75], np.float32)}
    first, second = detail_rows(pd.DataFrame([unknown, known]), ["Jazz", "Rap"])
    assert first == {"segments": 4, "lyrics": False, "likeliest": []}
    likeliest = [["Rap", 0.75], ["Jazz", 0.25]]
    facts = {"album": "R", "year": 1999, "seconds": 61, "key": "A minor", "segments": 4, "lyrics": True}
    assert second == facts | {"likeliest": likeliest}


def test_chunks_have_every_song_once() -> None:
    facts = [{"year": row} for row in range(CHUNK + 1)]
    parts = chunks(facts, None)
    assert [len(part) for part in parts] == [CHUNK, 1]
    assert parts[1] == [{"year": CHUNK}]
    assert chunks(facts[:1], [[[0, 0.5]]]) == [[{"year": 0, "neighbours": [[0, 0.5]]}]]


@given(st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 3), min_size=1, max_size=20))
def test_the_error_of_a_quantised_value_is_at_most_half_a_step(values: list[tuple[float, float, float]]) -> None:
    rows = np.array(values, np.float32)
    step = np.ptp(rows.astype(np.float64), axis=1, keepdims=True) / LEVELS
    assert (np.abs(restored(packed_rows(rows)) - rows) <= 0.5001 * step).all()


def test_nan_has_no_level() -> None:
    content = packed_rows(np.array([[np.nan, 1, 3], [np.nan, np.nan, np.nan]], np.float32))
    assert unpacked(content["levels"]).tolist() == [255, 0, LEVELS, 255, 255, 255]
    assert (unpacked(content["low"]).tolist(), unpacked(content["high"]).tolist()) == ([1, 0], [3, 0])


def test_segments_are_read_for_the_given_tracks(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    rows = [song(number, n_segments=number % 4) for number in range(12)]
    write_songs(warehouse, rows)
    tracks = [rows[number]["track_id"] for number in (1, 4, 7, 11)]  # number 4 has no segments
    segments = {one.track_id: one for one in read_segments(warehouse, [*tracks, "TRUNKNOWN"])}
    assert sorted(segments) == sorted(rows[number]["track_id"] for number in (1, 7, 11))
    seven = segments[rows[7]["track_id"]]
    assert seven.edges.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(seven.timbre.ravel(), rows[7]["segments_timbre"])
    content = heatmap_data(seven)
    assert len(unpacked(content["chroma"]["levels"])) == 3 * 12


def test_a_song_whose_arrays_differ_in_length_has_no_heatmap() -> None:
    broken = song(1, n_segments=3) | {"segments_start": np.zeros(2)}
    assert Segments.of(broken) is None
