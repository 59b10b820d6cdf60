"""Read aggregate and summary files: many songs in the layout of one.

A song's rows in an array begin at the pointer in its row of the group's table and end where those of the next song
begin. A summary file has only the tables.

References
----------
.. [1] MSongsDB, ``create_aggregate_file.py`` and ``create_summary_file.py``:
   https://github.com/tbertinmahieux/MSongsDB
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import h5py
import numpy as np

from msd_spark.core.schemas import ARRAY_COLUMNS, POINTER_PREFIX
from msd_spark.core.song_layout import ARRAYS, METADATA, SONGS, TABLES, Array
from msd_spark.songfile.h5py_reader import LIBRARY_ERRORS, check_chunks, check_declaration, one_line
from msd_spark.songfile.song import Song, SongFileError, check_song, scalar, text

SONGS_AT_A_TIME = 64
"""Songs in memory at a time."""

MAX_ROWS_OF_A_SONG = 100_000
"""Limit on a song's rows in any array (the longest of the dataset has a few thousand)."""


def describe(file: str | IO[bytes]) -> tuple[int, bool] | None:
    """Return the number of songs and whether the file has their arrays; None for any other file.

    `file` is a path or an open seekable file.
    """
    try:
        with h5py.File(file, "r") as opened:
            rows = opened[METADATA][SONGS].shape[0]
            return int(rows), all(array.path in opened for array in ARRAYS)
    except LIBRARY_ERRORS:
        return None


def read_songs(file: str | IO[bytes], start: int, stop: int) -> Iterator[tuple[int, Song | SongFileError]]:
    """Yield the songs in the rows from `start` to before `stop`, with their row numbers.

    A song is a dict, or a `SongFileError` with the reason to reject it, as for `msd_spark.songfile.parse.parse_song`.
    Songs of a summary file have empty arrays.
    """
    try:
        opened = h5py.File(file, "r")
    except LIBRARY_ERRORS as error:
        failure = SongFileError("not_hdf5", one_line(error))
        yield from ((row, failure) for row in range(start, stop))
        return
    with opened:
        for first in range(start, stop, SONGS_AT_A_TIME):
            last = min(first + SONGS_AT_A_TIME, stop)
            try:
                songs = _read_rows(opened, first, last)
            except LIBRARY_ERRORS as error:
                failure = (
                    error if isinstance(error, SongFileError) else SongFileError("unreadable_data", one_line(error))
                )
                # All are rejected: it is unknown which pointer is wrong, and a wrong pointer yields a wrong song.
                songs = [failure] * (last - first)
            yield from zip(range(first, last), songs, strict=True)


def _read_rows(file: h5py.File, first: int, last: int) -> list[Song | SongFileError]:
    tables: dict[str, np.ndarray] = {}
    following: dict[str, np.ndarray | None] = {}
    for table in TABLES:
        identifier = file[table.path].id
        check_chunks(identifier, table.path, check_declaration(identifier, table.path), first, last + 1)
        rows = file[table.path][first : last + 1].astype(table.columns, copy=False)
        if len(rows) < last - first:
            raise SongFileError("wrong_layout", f"{table.path} has no row {first + len(rows)}")
        tables[table.group] = rows[: last - first]
        following[table.group] = rows[last - first :] if len(rows) > last - first else None
    arrays = {}
    for array in ARRAYS:
        after = following[array.group]
        arrays[array.name] = _Rows(file, array, tables[array.group][array.index_column], after)
    songs: list[Song | SongFileError] = []
    for number in range(last - first):
        try:
            songs.append(_song(tables, arrays, number))
        except SongFileError as error:
            songs.append(error)
    return songs


def _song(tables: dict[str, np.ndarray], arrays: dict[str, _Rows], number: int) -> Song:
    song: Song = {}
    for table in TABLES:
        row = tables[table.group][number]
        for name in table.columns.names or ():
            if not name.startswith(POINTER_PREFIX):
                song[name] = scalar(name, row[name])
    for name, rows in arrays.items():
        song[name] = rows.of(number)
    check_song(song, None)
    song["n_segments"] = len(song["segments_start"])
    return song


class _Rows:
    """The rows of one array for consecutive songs."""

    def __init__(self, file: h5py.File, array: Array, starts: np.ndarray, after: np.ndarray | None) -> None:
        self.array = array
        dataset = file.get(array.path)
        self.is_there = dataset is not None
        if dataset is None:
            return
        storage = check_declaration(dataset.id, array.path)
        if dataset.ndim != 1 + len(array.row_shape) or dataset.shape[1:] != array.row_shape:
            raise SongFileError("wrong_layout", f"{array.path} has shape {dataset.shape}")
        end = int(after[array.index_column][0]) if after is not None else dataset.shape[0]
        self.bounds = np.append(starts.astype(np.int64), end)
        lengths = np.diff(self.bounds)
        if lengths.min() < 0 or self.bounds[0] < 0 or end > dataset.shape[0]:
            raise SongFileError("bad_pointer", f"{array.index_column} does not increase within {array.path}")
        if lengths.max() > MAX_ROWS_OF_A_SONG:
            raise SongFileError("implausible_size", f"{array.path} has {lengths.max()} rows of one song")
        check_chunks(dataset.id, array.path, storage, int(self.bounds[0]), end)
        self.rows: Any = dataset[self.bounds[0] : end]

    def of(self, number: int) -> np.ndarray:
        """Return a song's rows, flat, with the type of ``songs/``."""
        kind = ARRAY_COLUMNS[self.array.name].value_type
        if not self.is_there:
            return np.array([], dtype=object if self.array.dtype.startswith("S") else kind.to_pandas_dtype())
        start, stop = self.bounds[number : number + 2] - self.bounds[0]
        rows = self.rows[start:stop]
        if rows.dtype.kind == "S":
            return np.array([text(value) for value in rows.tolist()], dtype=object)
        return rows.reshape(-1).astype(kind.to_pandas_dtype())
