"""Parse one song file, given as bytes: no path, no engine, no state kept between songs.

The bytes become an HDF5 file image in memory and are read through h5py's low level, which
skips most of what the high level does for each dataset.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from h5py import h5d, h5f, h5p, h5s

from msd_spark.schema import ARRAY_COLUMNS, POINTER_PREFIX, SENTINELS
from msd_spark.songfile.layout import ARRAYS, TABLES, Array, Table

Song = dict[str, Any]
"""A song by column of ``songs/`` (all but ``source``): scalars as Python values or None, arrays as numpy."""

MAX_ROWS = 1_000_000
"""More rows than any analysis of one song can have (the longest of the dataset has some thousands)."""

SEGMENT_ARRAYS = tuple(array.name for array in ARRAYS if array.name.startswith("segments_"))


class SongFileError(ValueError):
    """A file that is not a sound song file.

    Attributes
    ----------
    reason : str
        A short code for the table ``rejected/``: ``empty_file``, ``not_hdf5``, ``missing_data``,
        ``wrong_layout``, ``not_one_song``, ``implausible_size``, ``unreadable_data``,
        ``length_mismatch``, ``not_finite``, ``no_track_id``, ``track_id_mismatch``.
    detail : str
        What was seen.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def parse_song(image: bytes, expected_track_id: str | None = None) -> Song:
    """Return every field of a song file.

    Parameters
    ----------
    image : bytes
        The whole file.
    expected_track_id : str, optional
        The track id that the file's name gives; the song inside must have it.

    Returns
    -------
    dict
        By column of `msd_spark.schema.SONGS`, all but ``source``. Chroma and timbre have shape
        ``(n_segments * 12,)``; sentinels are None.

    Raises
    ------
    SongFileError
        When the bytes are not one song in the dataset's layout, with the reason.
    """
    if not image:
        raise SongFileError("empty_file", "the file has no bytes")
    file = _open(image)
    try:
        song: Song = {}
        for table in TABLES:
            song.update(_read_table(file, table))
        for array in ARRAYS:
            song[array.name] = _read_array(file, array)
    finally:
        file.close()
    _check(song, expected_track_id)
    song["n_segments"] = len(song["segments_start"])
    return song


def _open(image: bytes) -> h5f.FileID:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(image)
    try:
        return h5f.open(b"song", h5f.ACC_RDONLY, fapl=access)
    except (OSError, RuntimeError, ValueError) as error:
        raise SongFileError("not_hdf5", _one_line(error)) from None


def _open_dataset(file: h5f.FileID, path: str) -> h5d.DatasetID:
    try:
        return h5d.open(file, path.encode())
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise SongFileError("missing_data", f"{path}: {_one_line(error)}") from None


def _read(dataset: h5d.DatasetID, path: str, target: np.ndarray) -> None:
    try:
        dataset.read(h5s.ALL, h5s.ALL, target)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise SongFileError("unreadable_data", f"{path}: {_one_line(error)}") from None


def _read_table(file: h5f.FileID, table: Table) -> Song:
    dataset = _open_dataset(file, table.path)
    if dataset.shape != (1,):
        raise SongFileError("not_one_song", f"{table.path} has shape {dataset.shape}; a song file has (1,)")
    try:
        names = dataset.dtype.names or ()
    except (RuntimeError, TypeError, ValueError) as error:
        raise SongFileError("wrong_layout", f"{table.path}: {_one_line(error)}") from None
    missing = set(table.columns.names or ()) - set(names)
    if missing:
        raise SongFileError("wrong_layout", f"{table.path} lacks {', '.join(sorted(missing))}")
    row = np.zeros(1, table.columns)
    _read(dataset, table.path, row)
    return {name: _scalar(name, row[name][0]) for name in row.dtype.names or () if not name.startswith(POINTER_PREFIX)}


def _scalar(name: str, value: Any) -> Any:
    """Return a scalar as a Python value, or None where it means "not known"."""
    if isinstance(value, bytes):
        return text(value) or None
    number = value.item()
    if isinstance(number, float) and math.isnan(number):
        return None
    return None if number in SENTINELS.get(name, ()) else number


def text(value: bytes) -> str:
    """Decode a string of a song file: declared ASCII, in truth UTF-8; what is not UTF-8 reads as Latin-1."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _read_array(file: h5f.FileID, array: Array) -> np.ndarray:
    dataset = _open_dataset(file, array.path)
    shape = dataset.shape
    if len(shape) != 1 + len(array.row_shape) or shape[1:] != array.row_shape:
        raise SongFileError("wrong_layout", f"{array.path} has shape {shape}; wanted (n, {array.width or ''})")
    if shape[0] > MAX_ROWS:
        raise SongFileError("implausible_size", f"{array.path} has {shape[0]} rows")
    target = np.zeros(shape, array.dtype)
    if shape[0]:
        _read(dataset, array.path, target)
    if target.dtype.kind == "S":
        return np.array([text(value) for value in target.tolist()], dtype=object)
    wanted = ARRAY_COLUMNS[array.name].value_type.to_pandas_dtype()
    return target.reshape(-1).astype(wanted, copy=False)


def _check(song: Song, expected_track_id: str | None) -> None:
    if not song["track_id"]:
        raise SongFileError("no_track_id", "analysis/songs has an empty track_id")
    if expected_track_id and song["track_id"] != expected_track_id:
        raise SongFileError(
            "track_id_mismatch", f"the file's name says {expected_track_id}, its track_id {song['track_id']}"
        )
    n_segments = len(song["segments_start"])
    for array in ARRAYS:
        if array.name not in SEGMENT_ARRAYS:
            continue
        values = song[array.name]
        rows = len(values) // (array.width or 1)
        if rows != n_segments:
            raise SongFileError("length_mismatch", f"{array.name} has {rows} rows, segments_start {n_segments}")
        if not np.isfinite(values).all():
            raise SongFileError("not_finite", f"{array.name} has NaN or infinite values")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
