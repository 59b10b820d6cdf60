"""What the page's scripts read: safe, whole, and as exact as it says."""

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

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.data.catalogue import MOST_ARTISTS, UNKNOWN, map_data, plane, sample_by, traits
from msd_spark.report.data.details import CHUNK, chunks, detail_rows, neighbour_lists
from msd_spark.report.data.heatmaps import LEVELS, Segments, heatmap_data, quantised, read_segments
from msd_spark.report.draw.model_diagram import depths, diagram, layers_of
from msd_spark.report.job import make_report
from msd_spark.report.scripts import PACKED_TYPES, as_json, as_script, packed, unpacked
from msd_spark.report.settings import ReportSettings
from tests.support.report_listens import N_USERS
from tests.support.report_run import HOSTILE, RUN, keras_file, write_report_run
from tests.support.song_tables import song, write_songs

TEXTS = st.text(st.characters(), max_size=30) | st.sampled_from(HOSTILE)


@given(st.recursive(TEXTS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_any_content_comes_back_and_none_of_it_can_end_a_script(content: object) -> None:
    written = as_json(content)
    assert json.loads(written) == content
    assert written.isascii()
    assert not set("<>&\u2028\u2029\r\n") & set(written)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        as_script("x", [float("nan")])


@given(st.sampled_from(sorted(PACKED_TYPES)), st.lists(st.integers(0, 255)))
def test_arrays_come_back(kind: str, values: list[int]) -> None:
    array = np.array(values, kind)
    found = unpacked(json.loads(as_json(packed(array))))
    assert found.dtype.name == kind
    np.testing.assert_array_equal(found, array)


def test_a_type_that_the_page_cannot_read_is_refused() -> None:
    with pytest.raises(TypeError, match="not float64"):
        packed(np.zeros(2))


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 3))
def test_a_sample_has_each_group_in_its_share(groups: list[str | None], size: int, seed: int) -> None:
    rows = sample_by(pd.Series(groups, dtype=object), size, seed)
    assert len(rows) == min(size, len(groups)) == len(set(rows.tolist()))
    assert (np.diff(rows) > 0).all()
    for group in set(groups):
        there = sum(groups[row] == group for row in rows)
        assert abs(there - len(rows) * groups.count(group) / len(groups)) <= 1.5
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


def test_traits_that_no_song_has_are_left_out_and_the_unknown_are_counted() -> None:
    (genre,) = traits(songs(genre=["Rap", None, "Blues", "Rap"]), "cd1")
    assert genre["title"] == "genre (cd1)"
    assert (genre["names"], genre["counts"], genre["others"]) == (["Blues", "Rap"], [1, 2], 1)
    assert unpacked(genre["codes"]).tolist() == [1, UNKNOWN, 0, 1]


def test_decades_and_tenths_are_in_order_and_only_the_busiest_artists_have_a_colour() -> None:
    names = [f"artist {row % (MOST_ARTISTS + 3)}" for row in range(40)]
    artist, decade, popularity = traits(
        songs(artist_name=names, year=[1999.0] * 39 + [1955.0], popularity_decile=[9.0] * 20 + [0.0] * 20), None
    )
    assert len(artist["names"]) == MOST_ARTISTS
    assert artist["others"] == 40 - sum(artist["counts"]) > 0
    assert artist["other"] == "other artists"
    assert decade["names"] == ["1950s", "1990s"]
    assert popularity["names"] == ["tenth  1 (least played)", "tenth 10 (most played)"]


def test_titles_that_are_not_known_are_null() -> None:
    data = map_data(songs(title=["a", None], artist_name=[None, "b"]), None)
    assert data["titles"] == ["a", None]
    assert data["artists"]["names"] == ["b"]
    assert unpacked(data["artists"]["codes"]).tolist() == [0, 1]


def test_neighbours_are_the_pages_numbers_and_those_elsewhere_are_counted() -> None:
    rows = [("b", 2, "a", 0.5), ("b", 1, "c", 0.25), ("a", 1, "z", 0.1), ("z", 1, "a", 0.1)]
    table = pd.DataFrame(rows, columns=["track_id", "rank", "neighbour_id", "distance"])
    assert neighbour_lists(table, pd.Series(["a", "b", "c"])) == ([[], [[2, 0.25], [0, 0.5]], []], 1)


def test_facts_that_are_not_known_are_left_out() -> None:
    nothing = dict.fromkeys(("release", "year", "duration", "tempo", "key", "mode", "plays", "listeners"), None)
    unknown = nothing | {"genre_probabilities": None, "has_lyrics": 0.0, "n_segments": 4}
    known = unknown | {"release": "R", "year": 1999.0, "key": 9.0, "mode": 0.0, "has_lyrics": 1.0}
    known |= {"duration": 61.4, "genre_probabilities": np.array([0.25, 0.75], np.float32)}
    first, second = detail_rows(pd.DataFrame([unknown, known]), ["Jazz", "Rap"])
    assert first == {"segments": 4, "lyrics": False, "likeliest": []}
    likeliest = [["Rap", 0.75], ["Jazz", 0.25]]
    facts = {"album": "R", "year": 1999, "seconds": 61, "key": "A minor", "segments": 4, "lyrics": True}
    assert second == facts | {"likeliest": likeliest}


def test_chunks_hold_every_song_once() -> None:
    facts = [{"year": row} for row in range(CHUNK + 1)]
    parts = chunks(facts, None)
    assert [len(part) for part in parts] == [CHUNK, 1]
    assert parts[1] == [{"year": CHUNK}]
    assert chunks(facts[:1], [[[0, 0.5]]]) == [[{"year": 0, "neighbours": [[0, 0.5]]}]]


@given(st.lists(st.tuples(st.floats(-500, 500, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=20))
def test_a_heatmaps_bytes_are_wrong_by_half_a_step_at_most(rows: list[tuple[float, float]]) -> None:
    values = np.array(rows, np.float32)
    levels, low, high = quantised(values)
    back = low[:, None] + levels / LEVELS * (high - low)[:, None].astype(float)
    assert (np.abs(back - values.T) <= 0.5001 * (high - low)[:, None] / LEVELS + 1e-4).all()


def test_what_is_not_a_number_has_no_level() -> None:
    levels, low, high = quantised(np.array([[np.nan, np.nan], [1, np.nan], [3, np.nan]], np.float32))
    assert levels.tolist() == [[255, 0, LEVELS], [255, 255, 255]]
    assert (low.tolist(), high.tolist()) == ([1, 0], [3, 0])


def test_segments_are_read_for_the_songs_that_are_asked_for(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    rows = [song(number, n_segments=number % 4) for number in range(12)]
    write_songs(warehouse, rows)
    wanted = [rows[number]["track_id"] for number in (1, 4, 7, 11)]  # that of number 4 has no segments
    found = {one.track_id: one for one in read_segments(warehouse, [*wanted, "TRUNKNOWN"])}
    assert sorted(found) == sorted(rows[number]["track_id"] for number in (1, 7, 11))
    seven = found[rows[7]["track_id"]]
    assert seven.edges.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(seven.timbre.ravel(), rows[7]["segments_timbre"])
    content = heatmap_data(seven)
    assert len(unpacked(content["chroma"]["levels"])) == 3 * 12


def test_a_song_whose_arrays_differ_in_length_has_no_heatmap() -> None:
    broken = song(1, n_segments=3) | {"segments_start": np.zeros(2)}
    assert Segments.of(broken) is None


def test_the_diagram_folds_what_only_prepares_and_shows_what_joins() -> None:
    layers = {layer.name: layer for layer in layers_of(keras_file())}
    assert list(layers) == ["chroma", "lyric_vector", "chroma_convolution", "together", "embedding", "genre"]
    assert layers["chroma_convolution"].inputs == ("chroma",)
    assert layers["together"].inputs == ("chroma_convolution", "lyric_vector")
    assert layers["chroma_convolution"].what == "16 filters of 4, relu"
    rows = depths(list(layers.values()))
    assert rows == {"chroma": 0, "chroma_convolution": 1, "lyric_vector": 1, "together": 2, "embedding": 3, "genre": 4}
    assert diagram(list(layers.values())).count("<rect") == 6
    with pytest.raises(ValueError, match="no Keras model"):
        layers_of(b"PK no zip")


def test_the_report_says_what_is_missing_and_what_is_wrong(tmp_path: Path) -> None:
    warehouse = write_report_run(tmp_path, 30)
    with pytest.raises(UserError, match="no finished run models/other; finished ones: tiny"):
        make_report(ReportSettings(warehouse.root, "other"))
    with pytest.raises(UserError, match="embeddings/tiny has no track TRX"):
        make_report(ReportSettings(warehouse.root, RUN, show=("TRX",)))
    with pytest.raises(UserError, match="--most-songs at least 1, not 1 and 0"):
        ReportSettings(warehouse.root, RUN, 1, most_songs=0)
    with pytest.raises(UserError, match="--users is at least 0, not -1"):
        ReportSettings(warehouse.root, RUN, users=-1)
    facts = make_report(ReportSettings(warehouse.root, RUN, heatmaps=3, most_songs=10)).facts
    assert facts["users with recommendations"] == N_USERS
    assert (facts["songs"], facts["songs on the page"], facts["with heatmaps"]) == (30, 10, 3)
    folder = Path(warehouse.path("reports", RUN))
    first = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "10 of 30 songs, a sample" in first["index.html"].decode()
    make_report(ReportSettings(warehouse.root, RUN, heatmaps=3, most_songs=10))
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first
    for table in ("neighbours", "labels", "ledger", "rejected", "dataset", "factors"):
        warehouse.remove(table)
    for name in ("metrics.json", "history.json", "model.keras", "predictions"):
        warehouse.remove("models", RUN, name)
    bare = make_report(ReportSettings(warehouse.root, RUN)).facts
    assert bare["sections"] == 0
    page = (folder / "index.html").read_text()
    assert page.count("<li>") == bare["sections without anything to show"] + 1  # and the map in the menu
    said = json.loads((folder / "metrics.json").read_text())
    assert said["metrics"] == {}


def test_a_map_that_lacks_songs_is_not_shown(tmp_path: Path) -> None:
    warehouse = write_report_run(tmp_path, 30)
    tracks = pd.Series([f"TR{number:06d}{'A' * 10}" for number in range(30)])
    place = np.arange(30, dtype=np.float32)
    table = pd.DataFrame({"track_id": tracks, "x": place, "y": -place, "fitted": [True] * 20 + [False] * 10})
    warehouse.write_arrow(pa.Table.from_pandas(table[:-2], preserve_index=False), "maps", RUN)
    assert "lacks 2 of the 30 songs" in make_report(ReportSettings(warehouse.root, RUN)).facts["the map"]
    warehouse.write_arrow(pa.Table.from_pandas(table, preserve_index=False), "maps", RUN)
    assert "fitted on 20 of them" in make_report(ReportSettings(warehouse.root, RUN)).facts["the map"]
    shipped = (Path(warehouse.path("reports", RUN)) / "data" / "songs.js").read_text()
    songs = json.loads(shipped.removeprefix('msd.receive("songs",').removesuffix(");\n"))
    np.testing.assert_array_equal(unpacked(songs["y"]), -place)
