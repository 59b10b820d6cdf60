from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core import schemas as schema
from msd_spark.core.schemas import ARRAY_COLUMNS, GEOMETRY, SCALAR_COLUMNS, SONGS, Geometry, spark_schema

SCHEMAS = {
    name: getattr(schema, name)
    for name in ("SONGS", "REJECTED", "LEDGER", "LYRICS", "LABELS", "EXAMPLES", "EMBEDDINGS")
}


def test_songs_have_every_field_of_a_song_file_once() -> None:
    # analysis 31 columns less 15 pointers, metadata 20 less 2, musicbrainz 2 less 1: 16 + 18 + 1 = 35;
    # with 21 arrays, n_segments, source and member that is 59.
    assert len(SCALAR_COLUMNS) == 35
    assert len(ARRAY_COLUMNS) == 21
    assert len(SONGS) == len(set(SONGS.names)) == 59
    assert not [name for name in SONGS.names if name.startswith("idx_")]


def list_of(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind, nullable=False))


def test_types_of_some_fields() -> None:
    wanted = {
        "track_id": pa.string(),
        "year": pa.int32(),
        "tempo": pa.float64(),
        "segments_pitches": list_of(pa.float32()),
        "segments_start": list_of(pa.float64()),
        "artist_terms": list_of(pa.string()),
        "artist_mbtags_count": list_of(pa.int32()),
    }
    assert {name: SONGS.field(name).type for name in wanted} == wanted


def test_only_scalars_of_a_song_can_be_null() -> None:
    nullable = {field.name for field in SONGS if field.nullable}
    assert nullable == set(SCALAR_COLUMNS) - {"track_id"} | {"member"}


def test_sentinels_and_rounded_arrays_name_columns_that_exist() -> None:
    assert set(schema.SENTINELS) <= set(SCALAR_COLUMNS)
    assert set(ARRAY_COLUMNS) >= schema.ROUNDED_TO_THREE_DECIMALS
    assert {field.name for field in SONGS if field.type == list_of(pa.float32())} == schema.ROUNDED_TO_THREE_DECIMALS


def test_float32_keeps_three_decimals_below_a_thousand_exactly() -> None:
    thousandths = np.arange(-999_999, 1_000_000)
    source = thousandths / 1000
    kept = source.astype(np.float32).astype(np.float64)
    assert np.array_equal(np.rint(kept * 1000).astype(int), thousandths)


@given(st.integers(1, 40), st.lists(st.integers(0, 60), max_size=20))
def test_a_mask_has_a_one_for_each_segment_and_they_come_first(n_segments: int, lengths: list[int]) -> None:
    mask = Geometry(n_segments=n_segments).mask(np.array(lengths, np.int32))
    assert mask.shape == (len(lengths), n_segments)
    assert mask.dtype == np.float32
    assert mask.sum(axis=1).tolist() == [min(length, n_segments) for length in lengths]
    assert (np.diff(mask, axis=1) <= 0).all()


def test_the_geometry_of_the_project() -> None:
    assert (GEOMETRY.segments_shape, GEOMETRY.lyric_size) == ((300, 12), 50)


@pytest.mark.parametrize("name", SCHEMAS)
def test_spark_has_the_same_columns_and_nulls(name: str) -> None:
    arrow = SCHEMAS[name]
    spark = spark_schema(arrow)
    assert spark.names == arrow.names
    assert [field.nullable for field in spark] == [field.nullable for field in arrow]
    strings = {
        pa.string(): "string",
        pa.binary(): "binary",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float32(): "float",
        pa.float64(): "double",
    }

    def spelt(kind: pa.DataType) -> str:
        if pa.types.is_list(kind):
            return f"array<{spelt(kind.value_type)}>"
        if pa.types.is_struct(kind):
            return f"struct<{','.join(f'{field.name}:{spelt(field.type)}' for field in kind)}>"
        return strings[kind]

    assert [field.dataType.simpleString() for field in spark] == [spelt(kind) for kind in arrow.types]
