"""Song files made by hand, in memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from msd_spark.core.song_layout import ARRAYS, TABLES
from msd_spark.songfile.parse import SongFileError, parse_song

TRACK_ID = "TRAAAAA12903CAAAAA"


def song_image(
    change: Callable[[h5py.File], None] | None = None,
    n_segments: int = 5,
    arrays: dict[str, np.ndarray] | None = None,
    **scalars: Any,
) -> bytes:
    """Return a song file of zeros with a track id; `arrays` and `scalars` replace fields, `change` does the rest."""
    given = arrays or {}
    values: dict[str, Any] = {"track_id": TRACK_ID.encode(), **scalars}
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        for table in TABLES:
            row = np.zeros(1, table.columns)
            for name in set(table.columns.names or ()) & set(values):
                row[name] = values[name]
            file[table.path] = row
        for array in ARRAYS:
            n_rows = n_segments if array.name.startswith("segments_") else 0
            file[array.path] = given.get(array.name, np.zeros((n_rows, *array.row_shape), array.dtype))
        if change is not None:
            change(file)
    return sink.getvalue()


def replaced(path: str, content: Any) -> Callable[[h5py.File], None]:
    """Return a change that puts something else at a path of the file."""

    def change(file: h5py.File) -> None:
        del file[path]
        file[path] = content

    return change


def refusal(image: bytes, expected_track_id: str | None = None) -> tuple[str, str]:
    """Return why an image is refused, reason and detail, without keeping the error and what it holds open."""
    try:
        parse_song(image, expected_track_id)
    except SongFileError as error:
        return error.reason, error.detail
    raise AssertionError("the image was read as a song")
