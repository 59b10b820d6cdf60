from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from msd_spark.core.schemas import ARRAY_COLUMNS, SONGS
from msd_spark.songfile.batches import songs_to_batch
from msd_spark.songfile.parse import parse_song
from tests.support.song_images import song_image


def song(n_segments: int, **fields: Any) -> dict[str, Any]:
    return parse_song(song_image(n_segments=n_segments, **fields)) | {"source": "/d/x.h5", "member": None}


def test_songs_come_back_from_a_batch() -> None:
    terms = np.array(["h\u00e4rd rock".encode(), b""], "S256")
    songs = [
        song(2, title=b"One", year=1999, arrays={"artist_terms": terms}),
        song(0),
        song(3, title="\u6771".encode()),
    ]
    batch = songs_to_batch(songs)
    assert batch.schema == SONGS
    batch.validate(full=True)
    rows = batch.to_pylist()
    assert [row["title"] for row in rows] == ["One", None, "\u6771"]
    assert [row["year"] for row in rows] == [1999, None, None]
    assert [row["n_segments"] for row in rows] == [2, 0, 3]
    assert [row["artist_terms"] for row in rows] == [["h\u00e4rd rock", ""], [], []]
    assert [len(row["segments_timbre"]) for row in rows] == [24, 0, 36]
    for row, source in zip(rows, songs, strict=True):
        assert {name: row[name] for name in ARRAY_COLUMNS} == {name: source[name].tolist() for name in ARRAY_COLUMNS}


def test_an_array_of_length_nought_is_an_empty_list_and_never_null() -> None:
    row = songs_to_batch([song(0)]).to_pylist()[0]
    assert all(row[name] == [] for name in ARRAY_COLUMNS)


def test_no_songs_make_a_batch_of_no_rows() -> None:
    batch = songs_to_batch([])
    assert batch.schema == SONGS
    assert batch.num_rows == 0


@settings(max_examples=20)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_a_batch_survives_parquet(lengths: list[int]) -> None:
    batch = songs_to_batch([song(n, year=1900 + n) for n in lengths])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_batches([batch]), sink)
    assert pq.read_table(sink).to_pylist() == batch.to_pylist()
