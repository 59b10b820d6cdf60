"""Data for the report's scripts: safe, complete, and within the stated precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.warehouse import Warehouse
from msd_spark.report.data.details import Neighbours, chunks, detail_data, name_data
from msd_spark.report.data.grid import STEPS, Grid
from msd_spark.report.data.heatmaps import Segments, heatmap_data, read_segments
from msd_spark.report.data.map_data import MOST_ARTISTS, UNKNOWN, plane, sample_by, traits
from msd_spark.report.data.regions import FEWEST_SONGS, region_labels
from msd_spark.report.data.search_text import IDENTIFIED, fold, id_chunks, search_text
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
    empty = ("genre", "predicted_genre", "artist_name", "year", "popularity_decile", "split", "title", "language")
    table = pd.DataFrame({name: pd.Series([None] * n, dtype=object) for name in empty})
    return table.assign(track_id=[f"TR{row}" for row in range(n)], x=np.zeros(n), y=np.zeros(n), **columns)


def test_traits_without_songs_are_left_out_and_unknown_values_are_counted() -> None:
    (genre,) = traits(songs(genre=["Rap", None, "Blues", "Rap"]), "cd1")
    assert genre.title == "genre (cd1)"
    assert (genre.names, genre.counts, genre.data()["others"]) == (["Blues", "Rap"], [1, 2], 1)
    assert genre.codes.tolist() == [1, UNKNOWN, 0, 1]


def test_decades_and_deciles_are_ordered_and_only_the_top_artists_have_a_colour() -> None:
    names = [f"artist {row % (MOST_ARTISTS + 3)}" for row in range(40)]
    artist, decade, popularity, year = traits(
        songs(artist_name=names, year=[1999.0] * 39 + [1955.0], popularity_decile=[9.0] * 20 + [0.0] * 20), None
    )
    assert len(artist.names) == MOST_ARTISTS
    assert artist.data()["others"] == 40 - sum(artist.counts) > 0
    assert artist.other == "other artists"
    assert decade.names == ["1950s", "1990s"]
    assert popularity.names == ["decile  1 (least played)", "decile 10 (most played)"]
    assert (year.names, year.is_range) == (["1955", "1999"], True)


PLACES = st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(-1e3, 1e3, width=32)), min_size=1, max_size=80)


@given(PLACES, st.integers(1, 6))
def test_a_grid_restores_places_to_within_half_a_step(values: list[tuple[float, float]], side: int) -> None:
    places = np.array(values, np.float64)
    grid = Grid.over(places, side)
    places = places[np.argsort(grid.cells(places), kind="stable")]
    data = grid.data(places)
    starts = unpacked(data["starts"])
    assert (starts[0], starts[-1], len(starts)) == (0, len(places), side**2 + 1)
    cells = np.repeat(np.arange(side**2), np.diff(starts))
    corner = np.column_stack([cells % side, cells // side])
    steps = np.column_stack([unpacked(data["x"]), unpacked(data["y"])]) / STEPS
    restored_places = np.array(data["low"]) + (corner + steps) * data["size"]
    assert (np.abs(restored_places - places) <= 0.5001 * np.array(data["size"]) / STEPS + 1e-9).all()


def test_places_out_of_order_are_rejected() -> None:
    places = np.array([[1.0, 1.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="not ordered by cell"):
        Grid.over(places, 2).data(places)


def test_names_are_null_if_unknown() -> None:
    data = name_data(songs(title=["a", None], artist_name=[None, "b"]))
    assert data == {"ids": ["TR0", "TR1"], "titles": ["a", None], "artists": [None, "b"]}


def test_neighbours_outside_the_report_are_left_out() -> None:
    rows = [("b", 2, "a", 0.5), ("b", 1, "c", 0.25), ("a", 1, "z", 0.1), ("z", 1, "a", 0.1)]
    columns = dict(zip(["track_id", "rank", "neighbour_id", "distance"], zip(*rows, strict=True), strict=True))
    neighbours = Neighbours.of(
        pa.table({name: list(values) for name, values in columns.items()}), pd.Series(["a", "b", "c"])
    )
    whole = {name: unpacked(content).tolist() for name, content in neighbours.data(slice(0, 3)).items()}
    assert whole == {"counts": [0, 2, 0], "rows": [2, 0], "distances": [0.25, 0.5]}
    last = {name: unpacked(content).tolist() for name, content in neighbours.data(slice(2, 3)).items()}
    assert last == {"counts": [0], "rows": [], "distances": []}


def test_unknown_facts_are_left_out() -> None:
    nothing = dict.fromkeys(("release", "year", "duration", "tempo", "key", "mode", "plays", "listeners"), None)
    unknown = nothing | {"has_lyrics": 0.0}
    known = unknown | {"release": "R", "year": 1999.0, "key": 9.0, "mode": 0.0, "has_lyrics": 1.0, "duration": 61.4}
    probabilities = np.array([[np.nan, np.nan], [0.25, 0.75]], np.float32)
    assert detail_data(pd.DataFrame([unknown, known]), probabilities) == {
        "album": [None, "R"],
        "year": [None, 1999],
        "seconds": [None, 61],
        "key": [None, "A minor"],
        "lyrics": [False, True],
        "likeliest": [[], [[1, 0.75], [0, 0.25]]],
    }
    assert detail_data(pd.DataFrame([unknown]), None) == {"lyrics": [False]}


@given(st.integers(0, 40), st.integers(1, 9))
def test_chunks_have_every_song_once(n: int, size: int) -> None:
    rows = [row for _, chunk in chunks(n, size) for row in range(n)[chunk]]
    assert rows == list(range(n))
    assert [number for number, _ in chunks(n, size)] == list(range(-(-n // size)))


@given(TEXTS)
def test_a_folded_text_is_stable_and_on_one_line(text: str) -> None:
    folded = fold(text)
    assert "\n" not in folded
    assert "\t" not in folded
    assert fold(folded) == folded


def test_each_song_is_one_line_of_the_text_to_search() -> None:
    text = search_text(songs(title=["Señor\n2", None], artist_name=[None, "AC/DC"]))
    assert text == " senor 2\t unknown artist\n unknown title\t ac/dc"


def test_track_ids_are_sorted_with_their_rows() -> None:
    ids = pd.Series([f"TR{number:05d}" for number in np.random.default_rng(0).permutation(IDENTIFIED + 3)])
    fences, parts = id_chunks(ids)
    assert fences == ["TR00000", f"TR{IDENTIFIED:05d}"] == [part["ids"][0] for part in parts]
    for part in parts:
        assert ids.iloc[unpacked(part["rows"])].tolist() == part["ids"] == sorted(part["ids"])


def test_regions_are_labelled_by_the_term_that_is_typical_of_them() -> None:
    # Four corners of a map with two songs of ten by corner: everywhere "common", in one corner "Rap".
    corners = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], 10, axis=0)
    common = pd.DataFrame({"row": np.arange(40), "term": "common"})
    genres = pd.DataFrame({"row": np.arange(30, 40), "term": "Rap"})
    artists = pd.DataFrame({"row": np.arange(FEWEST_SONGS - 1), "term": "Too few"})
    data = region_labels(corners, {"tag": common, "genre": genres, "artist": artists})
    assert data["kinds"] == ["tag", "genre", "artist"]
    (level,) = data["levels"]
    assert level["texts"] == ["Rap"]  # the logarithm of a term that every song has is zero
    assert [unpacked(level[name]).tolist() for name in ("x", "y", "kinds")] == [[STEPS], [STEPS], [1]]


def test_a_term_labels_only_one_of_adjacent_regions() -> None:
    generator = np.random.default_rng(0)
    places = generator.uniform(size=(4000, 2))
    genres = pd.DataFrame({"row": np.arange(4000), "term": np.where(places[:, 0] < 0.5, "west", "east")})
    levels = region_labels(places, {"genre": genres})["levels"]
    assert [level["level"] for level in levels] == [1, 2, 3]
    assert sorted(levels[0]["texts"]) == ["east", "west"]
    for level in levels:
        x = unpacked(level["x"]) / STEPS
        assert all((place < 0.5) == (text == "west") for place, text in zip(x, level["texts"], strict=True))


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
