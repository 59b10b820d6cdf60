"""Songs as Arrow record batches in the schema of ``songs/``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from msd_spark.schema import ARRAY_COLUMNS, SONGS
from msd_spark.songfile.parse import Song


def songs_to_batch(songs: Sequence[Song]) -> pa.RecordBatch:
    """Return parsed songs as one record batch.

    Parameters
    ----------
    songs : sequence of dict
        As `msd_spark.songfile.parse.parse_song` returns them, with ``source`` added.

    Returns
    -------
    pyarrow.RecordBatch
        In the schema `msd_spark.schema.SONGS`.
    """
    columns = [_lists(songs, field) if field.name in ARRAY_COLUMNS else _scalars(songs, field) for field in SONGS]
    return pa.RecordBatch.from_arrays(columns, schema=SONGS)


def _scalars(songs: Sequence[Song], field: pa.Field) -> pa.Array:
    return pa.array([song[field.name] for song in songs], field.type)


def _lists(songs: Sequence[Song], field: pa.Field) -> pa.Array:
    arrays = [song[field.name] for song in songs]
    offsets = np.zeros(len(arrays) + 1, np.int32)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    values = pa.array(np.concatenate(arrays), field.type.value_type) if arrays else pa.array([], field.type.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets), values)
