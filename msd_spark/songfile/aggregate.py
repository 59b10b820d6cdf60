"""Read aggregate and summary files: many songs in the layout of one.

A song's rows in an array begin at the pointer in its row of the group's table and end where those of the next song
begin. A summary file has only the tables: metadata of songs, without segments.

References
----------
.. [1] MSongsDB, ``create_aggregate_file.py`` and ``create_summary_file.py``:
   https://github.com/tbertinmahieux/MSongsDB
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import IO, NamedTuple

import h5py
import numpy as np
import pyarrow as pa
from h5py import h5d

from msd_spark.core.schemas import POINTER_PREFIX
from msd_spark.core.song_layout import ARRAYS, METADATA, SONGS, TABLES, Array, Table
from msd_spark.songfile.h5py_reader import (
    LIBRARY_ERRORS,
    MAX_BYTES,
    Chunks,
    as_column,
    as_song_error,
    check_dataset,
    is_there,
    open_dataset,
    stored_chunks,
)
from msd_spark.songfile.metadata import Rows
from msd_spark.songfile.song import Song, SongFileError, check_song, scalar

SONGS_AT_A_TIME = 64
"""Songs in memory at a time."""

MAX_ROWS_OF_A_SONG = 100_000
"""Limit on a song's rows in any array (the longest of the dataset has a few thousand)."""


SUMMARY_ROWS_AT_A_TIME = 4096
"""Rows of a summary file in memory at a time; each has 6 KB of fixed-size strings."""


def describe(file: str | IO[bytes]) -> tuple[int, bool] | None:
    """Return the number of songs and whether the file has their arrays; None for any other file.

    `file` is a path or an open seekable file.
    """
    try:
        with h5py.File(file, "r") as opened:
            shape = tuple(open_dataset(opened.id, f"{METADATA}/{SONGS}").shape or ())
            return (int(shape[0]), all(is_there(opened.id, array.path) for array in ARRAYS)) if shape else None
    except (SongFileError, *LIBRARY_ERRORS):
        return None


def read_songs(file: str | IO[bytes], start: int, stop: int) -> Iterator[tuple[int, Song | SongFileError]]:
    """Yield the songs in the rows from `start` to before `stop`, with their row numbers.

    A song is a dict, or a `SongFileError` with the reason to reject it, as for `msd_spark.songfile.parse.parse_song`.
    Arrays that the file lacks are empty.
    """
    try:
        with as_song_error("not_hdf5"):
            opened = h5py.File(file, "r")
    except SongFileError as error:
        yield from ((row, error) for row in range(start, stop))
        return
    with opened:
        for first in range(start, stop, SONGS_AT_A_TIME):
            yield from _read_batch(opened, first, min(first + SONGS_AT_A_TIME, stop))


class _TooLargeError(Exception):
    """The arrays of several songs have more than `MAX_BYTES`."""


def _read_batch(file: h5py.File, first: int, last: int) -> Iterator[tuple[int, Song | SongFileError]]:
    """Yield the songs of consecutive rows, fewer at a time if they are large."""
    try:
        with as_song_error("unreadable_data"):
            songs = _read_rows(file, first, last)
    except _TooLargeError:
        middle = (first + last) // 2
        yield from _read_batch(file, first, middle)
        yield from _read_batch(file, middle, last)
        return
    except SongFileError as error:
        # All are rejected: it is unknown which pointer is wrong, and a wrong pointer yields a wrong song.
        songs = [error] * (last - first)
    yield from zip(range(first, last), songs, strict=True)


def _by_name(rows: np.ndarray, table: Table) -> np.ndarray:
    """Return rows with the columns of a table; NumPy's cast would match them by position."""
    missing = sorted(set(table.columns.names or ()) - set(rows.dtype.names or ()))
    if missing:
        raise SongFileError("wrong_layout", f"{table.path} lacks {', '.join(missing)}")
    ordered = np.empty(len(rows), table.columns)
    for name in table.columns.names or ():
        ordered[name] = rows[name]
    return ordered


def _read_rows(file: h5py.File, first: int, last: int) -> list[Song | SongFileError]:
    tables: dict[str, np.ndarray] = {}
    following: dict[str, np.ndarray | None] = {}
    for table in TABLES:
        rows = _table_rows(file, table, first, last)
        tables[table.group] = rows[: last - first]
        following[table.group] = rows[last - first :] if len(rows) > last - first else None
    parts = [
        part
        for array in ARRAYS
        if (part := _part(file, array, tables[array.group][array.index_column], following[array.group]))
    ]
    size = sum(part.size for part in parts)
    if size > MAX_BYTES:
        if last - first > 1:
            raise _TooLargeError
        raise SongFileError(
            "implausible_size", f"the arrays of the song have {size:,} bytes, the limit is {MAX_BYTES:,}"
        )
    empty = {array.name: [as_column(np.empty(0, array.dtype), array.name)] * (last - first) for array in ARRAYS}
    arrays = empty | {part.array.name: part.rows() for part in parts}
    songs: list[Song | SongFileError] = []
    for number in range(last - first):
        try:
            songs.append(_song(tables, arrays, number))
        except SongFileError as error:
            songs.append(error)
    return songs


def _table_rows(file: h5py.File, table: Table, first: int, last: int, chunks: Chunks | None = None) -> np.ndarray:
    """Return the rows from `first` to before `last` of a table, and the next one if there is one.

    `chunks` is as in `check_dataset`.
    """
    dataset = open_dataset(file.id, table.path)
    if len(dataset.shape or ()) != 1 or (last + 1 - first) * dataset.get_type().get_size() > MAX_BYTES:
        raise SongFileError("wrong_layout", f"{table.path} has shape {dataset.shape}, or rows of implausible size")
    check_dataset(dataset, table.path, first, last + 1, chunks)
    rows = _by_name(h5py.Dataset(dataset)[first : last + 1], table)
    if len(rows) < last - first:
        raise SongFileError("wrong_layout", f"{table.path} has no row {first + len(rows)}")
    return rows


def read_summary(file: str | IO[bytes], start: int, stop: int) -> Iterator[Rows]:
    """Yield the rows from `start` to before `stop` of a summary file; a `SongFileError` if they cannot be read."""
    with as_song_error("not_hdf5"):
        opened = h5py.File(file, "r")
    with opened, as_song_error("unreadable_data"):
        chunks = {table: stored_chunks(open_dataset(opened.id, table.path), start, stop + 1) for table in TABLES}
        for first in range(start, stop, SUMMARY_ROWS_AT_A_TIME):
            last = min(first + SUMMARY_ROWS_AT_A_TIME, stop)
            columns: dict[str, pa.Array] = {}
            for table in TABLES:
                rows = _table_rows(opened, table, first, last, chunks[table])[: last - first]
                for name in table.columns.names or ():
                    if not name.startswith(POINTER_PREFIX):
                        columns[name] = pa.array(rows[name].tolist() if rows[name].dtype.kind == "S" else rows[name])
            yield Rows(pa.array([f"row {row}" for row in range(first, last)]), columns, [])


def _song(tables: dict[str, np.ndarray], arrays: dict[str, list[np.ndarray]], number: int) -> Song:
    song: Song = {}
    for table in TABLES:
        row = tables[table.group][number]
        for name in table.columns.names or ():
            if not name.startswith(POINTER_PREFIX):
                song[name] = scalar(name, row[name])
    for name, rows in arrays.items():
        song[name] = rows[number]
    check_song(song, None)
    song["n_segments"] = len(song["segments_start"])
    return song


class _Part(NamedTuple):
    """Rows of an array for consecutive songs; song i has rows ``bounds[i]:bounds[i + 1]``."""

    array: Array
    dataset: h5d.DatasetID
    bounds: np.ndarray

    @property
    def size(self) -> int:
        """Size of the rows in bytes, in the file or in memory, whichever is larger."""
        n_items = int(self.bounds[-1] - self.bounds[0]) * math.prod(self.array.row_shape)
        return n_items * max(np.dtype(self.array.dtype).itemsize, self.dataset.get_type().get_size())

    def rows(self) -> list[np.ndarray]:
        """Read the rows of each song, as columns of ``songs/``."""
        first, end = int(self.bounds[0]), int(self.bounds[-1])
        check_dataset(self.dataset, self.array.path, first, end)
        rows = h5py.Dataset(self.dataset)[first:end]
        return [as_column(part, self.array.name) for part in np.split(rows, self.bounds[1:-1] - first)]


def _part(file: h5py.File, array: Array, starts: np.ndarray, after: np.ndarray | None) -> _Part | None:
    """Return the rows of an array for consecutive songs; None if the file lacks the array."""
    if not is_there(file.id, array.path):
        return None
    dataset = open_dataset(file.id, array.path)
    shape = tuple(dataset.shape or ())
    if len(shape) != 1 + len(array.row_shape) or shape[1:] != array.row_shape:
        raise SongFileError("wrong_layout", f"{array.path} has shape {shape}")
    end = int(after[array.index_column][0]) if after is not None else shape[0]
    bounds = np.append(starts.astype(np.int64), end)
    lengths = np.diff(bounds)
    if lengths.min() < 0 or bounds[0] < 0 or end > shape[0]:
        raise SongFileError("bad_pointer", f"{array.index_column} does not increase within {array.path}")
    if lengths.max() > MAX_ROWS_OF_A_SONG:
        raise SongFileError("implausible_size", f"{array.path} has {lengths.max()} rows of one song")
    return _Part(array, dataset, bounds)
