from __future__ import annotations

from collections import Counter
from typing import Any

import h5py
import numpy as np
import pytest

from msd_spark.core.schemas import ARRAY_COLUMNS, SENTINELS, SONGS
from msd_spark.songfile.parse import SongFileError, parse_song
from tests.support.song_images import TRACK_ID, refusal, replaced, song_image

NAN = float("nan")


def parsed(name: str, value: Any) -> Any:
    """Return what a scalar of a song file is read as."""
    fields: dict[str, Any] = {name: value}
    return parse_song(song_image(**fields))[name]


def test_a_song_has_every_column_but_where_it_was() -> None:
    song = parse_song(song_image())
    assert set(song) == set(SONGS.names) - {"source", "member"}
    assert song["track_id"] == TRACK_ID
    assert song["n_segments"] == 5


def test_scalars_are_plain_values() -> None:
    song = parse_song(song_image(title=b"So", year=1999, tempo=120.5, key=11, duration=1.25, artist_latitude=-0.5))
    wanted = {"title": "So", "year": 1999, "tempo": 120.5, "key": 11, "duration": 1.25, "artist_latitude": -0.5}
    assert {name: song[name] for name in wanted} == wanted
    assert {type(value) for name, value in song.items() if name not in ARRAY_COLUMNS} <= {str, int, float, type(None)}


@pytest.mark.parametrize(("name", "sentinel"), [(name, value) for name, some in SENTINELS.items() for value in some])
def test_sentinels_are_null(name: str, sentinel: float) -> None:
    assert parsed(name, sentinel) is None
    assert parsed(name, 3) == 3


@pytest.mark.parametrize("name", ["song_hotttnesss", "artist_latitude", "artist_familiarity", "tempo"])
def test_nan_in_a_scalar_is_null(name: str) -> None:
    assert parsed(name, NAN) is None


@pytest.mark.parametrize("name", ["artist_mbid", "artist_location", "genre", "title"])
def test_an_empty_string_is_null(name: str) -> None:
    assert parsed(name, b"") is None


@pytest.mark.parametrize("name", ["loudness", "mode", "key", "artist_latitude", "key_confidence"])
def test_zero_is_a_value_where_it_is_no_sentinel(name: str) -> None:
    assert parsed(name, 0) == 0


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("Bj\u00f6rk \u2013 \u6771\u4eac".encode(), "Bj\u00f6rk \u2013 \u6771\u4eac"),
        (b"Bj\xf6rk", "Bj\u00f6rk"),
        (b" a\tb ", " a\tb "),
        (b"x" * 1024, "x" * 1024),
    ],
)
def test_strings_are_utf8_and_else_latin1(stored: bytes, read: str) -> None:
    song = parse_song(song_image(title=stored, arrays={"artist_terms": np.array([stored[:256]], "S256")}))
    assert song["title"] == read
    assert song["artist_terms"].tolist() == [read[:256]]


def test_arrays_are_flat_and_of_their_columns_type() -> None:
    pitches = np.linspace(0, 1, 36).reshape(3, 12).round(3)
    starts = np.array([0, 0.12345, 1000.98765])
    song = parse_song(song_image(n_segments=3, arrays={"segments_pitches": pitches, "segments_start": starts}))
    assert song["segments_pitches"].dtype == np.float32
    assert song["segments_pitches"].astype(float).round(3).tolist() == pitches.ravel().tolist()
    assert song["segments_start"].dtype == np.float64
    assert song["segments_start"].tolist() == starts.tolist()
    assert song["artist_mbtags_count"].dtype == np.int32
    for name in ARRAY_COLUMNS:
        assert song[name].ndim == 1
        assert len(song[name]) == (0 if not name.startswith("segments_") else 36 if song[name].size > 3 else 3)


def test_a_name_that_is_no_track_id_is_not_held_against_a_song() -> None:
    assert parse_song(song_image(), None)["track_id"] == parse_song(song_image(), TRACK_ID)["track_id"]


def test_compressed_and_big_endian_files_give_the_same_song() -> None:
    starts = np.arange(5.0)

    def change(file: h5py.File) -> None:
        del file["analysis/segments_start"]
        file.create_dataset(
            "analysis/segments_start", data=starts.astype(">f4"), chunks=(2,), shuffle=True, compression=1
        )

    assert parse_song(song_image(change))["segments_start"].tolist() == starts.tolist()


def test_groups_that_are_not_of_the_dataset_are_passed_over() -> None:
    def change(file: h5py.File) -> None:
        file["mine/anything"] = np.arange(3)

    assert set(parse_song(song_image(change))) == set(parse_song(song_image()))


def test_a_song_leaves_no_file_open() -> None:
    before = h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL)
    parse_song(song_image())
    assert refusal(song_image(replaced("analysis/bars_start", 3.0)))[0] == "wrong_layout"
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL) == before


def test_bytes_changed_at_random_never_give_another_error() -> None:
    sound = song_image()
    generator = np.random.default_rng(0)
    reasons: Counter[str] = Counter()
    for _ in range(300):
        image = bytearray(sound)
        for place in generator.integers(len(image), size=generator.integers(1, 20)):
            image[place] = generator.integers(256)
        try:
            assert set(parse_song(bytes(image))) == set(SONGS.names) - {"source", "member"}
            reasons["none"] += 1
        except SongFileError as error:
            reasons[error.reason] += 1
    assert len(reasons) >= 4


def test_a_file_that_was_cut_off_is_refused_wherever_it_was_cut() -> None:
    image = song_image()
    for length in range(1, len(image), 499):
        assert refusal(image[:length])[0] in ("not_hdf5", "truncated")
