"""Convert songs to Arrow record batches and write them as Parquet files of ``songs/``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.schemas import ARRAY_COLUMNS, SONGS
from msd_spark.songfile.song import Song


def _leaf(name: str) -> str:
    """Return the name of a Parquet column; the values of a list are a column of their own."""
    return f"{name}.list.element" if name in ARRAY_COLUMNS else name


# Writing takes a third of the time of an ingest (`python -m benchmarks.parse`). By default Parquet tries a dictionary
# for every column; for times and timbre it overflows and is discarded, which costs more than compression. Chroma and
# confidences have at most a thousand distinct values; a dictionary reduces them to a third of the bytes.
DICTIONARY_COLUMNS = tuple(
    _leaf(field.name)
    for field in SONGS
    if pa.string() in (field.type, getattr(field.type, "value_type", None))
    or field.name in ("segments_pitches", "segments_confidence")
)
"""Parquet columns with a dictionary."""

STATISTICS_COLUMNS = tuple(field.name for field in SONGS if field.name not in ARRAY_COLUMNS)
"""Columns with statistics; no reader skips songs by the minimum or maximum of a list."""

COMPRESSION = "snappy"
"""zstd at level 1 takes a tenth less space and a quarter more time."""


def songs_writer(where: str | pa.NativeFile) -> pq.ParquetWriter:
    """Open a Parquet file in the schema `SONGS`; each batch written becomes a row group."""
    return pq.ParquetWriter(
        where,
        SONGS,
        compression=COMPRESSION,
        use_dictionary=list(DICTIONARY_COLUMNS),
        write_statistics=list(STATISTICS_COLUMNS),
    )


def songs_to_batch(songs: Sequence[Song]) -> pa.RecordBatch:
    """Return parsed songs, ``source`` and ``member`` included, as a batch in schema `SONGS`."""
    columns = [_lists(songs, field) if field.name in ARRAY_COLUMNS else _scalars(songs, field) for field in SONGS]
    return pa.RecordBatch.from_arrays(columns, schema=SONGS)


def _scalars(songs: Sequence[Song], field: pa.Field) -> pa.Array:
    return pa.array([song[field.name] for song in songs], field.type)


def _lists(songs: Sequence[Song], field: pa.Field) -> pa.Array:
    arrays = [song[field.name] for song in songs]
    offsets = np.zeros(len(arrays) + 1, np.int32)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    values = pa.array(np.concatenate(arrays), field.type.value_type) if arrays else pa.array([], field.type.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=field.type)
