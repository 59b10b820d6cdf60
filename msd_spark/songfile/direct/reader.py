"""Read a song directly from the bytes of a file with a known structure.

Most of its time is spent inflating chunks; most of h5py's, opening 24 datasets.
"""

from __future__ import annotations

import struct

import numpy as np

from msd_spark.core.schemas import ARRAY_COLUMNS, POINTER_PREFIX, SENTINELS
from msd_spark.core.song_layout import ARRAYS, TABLES, Array, Table
from msd_spark.songfile.direct.chunks import read_chunks, string_width, unshuffle_bytes, unshuffle_doubles
from msd_spark.songfile.direct.skeleton import ITEMS, Skeleton, element_type, row_shape
from msd_spark.songfile.direct.structure import Unfamiliar
from msd_spark.songfile.song import Song, text

MAX_INFLATED_BYTES = 32 << 20
"""Larger songs are read, or rejected, by h5py."""

_TABLES = len(TABLES)
_DOUBLE = 8


def _fields(table: Table) -> struct.Struct:
    codes = {"f": "d", "i": "i"}
    kinds = [table.columns[name] for name in table.columns.names or ()]
    return struct.Struct("<" + "".join(f"{kind.itemsize}s" if kind.kind == "S" else codes[kind.kind] for kind in kinds))


_ROWS = tuple(
    (
        _fields(table),
        [
            (place, name, table.columns[name].kind == "S", SENTINELS.get(name, ()))
            for place, name in enumerate(table.columns.names or ())
            if not name.startswith(POINTER_PREFIX)
        ],
    )
    for table in TABLES
)
_RESTS = tuple((*row_shape(item), element_type(item).itemsize) for item in ITEMS)
_ROW_BYTES = tuple(int(np.prod(rest)) for rest in _RESTS)
_TYPES = {name: np.dtype(kind.value_type.to_pandas_dtype()) for name, kind in ARRAY_COLUMNS.items()}


def read_directly(image: bytes, skeleton: Skeleton, lengths: list[int], indices: list[int]) -> Song:
    """Return every field of a song file, before the checks of `check_song`.

    `lengths` and `indices` are from `Skeleton.match`. Raises `Unfamiliar` if h5py has to read the file.
    """
    if lengths[:_TABLES] != [1] * _TABLES:
        raise Unfamiliar("not one song")
    counts = [-(-length // rows) for length, rows in zip(lengths, skeleton.chunk_rows, strict=True)]
    sizes = [rows * size for rows, size in zip(skeleton.chunk_rows, _ROW_BYTES, strict=True)]
    if sum(count * size for count, size in zip(counts, sizes, strict=True)) > MAX_INFLATED_BYTES:
        raise Unfamiliar("a song of implausible size")
    view = memoryview(image)
    chunks = [
        read_chunks(view, index, count, rows, rest) if count else []
        for index, count, rows, rest in zip(indices, counts, skeleton.chunk_rows, _RESTS, strict=True)
    ]
    song: Song = {}
    for (fields, columns), chunk, chunk_rows in zip(_ROWS, chunks[:_TABLES], skeleton.chunk_rows, strict=False):
        values = fields.unpack(chunk[0][::chunk_rows])  # the first row of shuffled bytes
        for place, name, is_text, unknown in columns:
            value = values[place]
            if is_text:
                song[name] = text(value.partition(b"\0")[0]) or None
            else:
                song[name] = None if value != value or value in unknown else value
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 are rejected later, as not finite
        song.update(_arrays(chunks[_TABLES:], lengths[_TABLES:]))
    song["n_segments"] = len(song["segments_start"])
    return song


def _arrays(chunks: list[list[bytes]], lengths: list[int]) -> dict[str, np.ndarray]:
    doubles = _doubles(chunks, lengths)
    return {
        array.name: doubles[place] if place in doubles else _others(array, chunks[place], length)
        for place, (array, length) in enumerate(zip(ARRAYS, lengths, strict=True))
    }


def _doubles(chunks: list[list[bytes]], lengths: list[int]) -> dict[int, np.ndarray]:
    """Return non-empty float64 arrays by index in `ARRAYS`, unshuffling equal chunks together."""
    families: dict[int, list[int]] = {}
    for place, (array, parts) in enumerate(zip(ARRAYS, chunks, strict=True)):
        if parts and array.dtype == "<f8":
            families.setdefault(len(parts[0]), []).append(place)
    arrays: dict[int, np.ndarray] = {}
    for size, places in families.items():
        # As many elements per chunk as the longest array needs.
        sizes = [lengths[place] * (ARRAYS[place].width or 1) for place in places]
        used = min(max(sizes), size // _DOUBLE)
        values = unshuffle_doubles([part for place in places for part in chunks[place]], used)
        first = 0
        for place, length in zip(places, sizes, strict=True):
            stop = first + len(chunks[place])
            rows = values[first:stop].reshape(-1)[:length]
            arrays[place] = rows.astype(_TYPES[ARRAYS[place].name], copy=False)
            first = stop
    return arrays


def _others(array: Array, chunks: list[bytes], length: int) -> np.ndarray:
    """Return an array of strings or integers, or an empty array."""
    target = _TYPES[array.name]
    if not chunks:
        return np.array([], target)
    dtype = np.dtype(array.dtype)
    if dtype.kind == "S":
        width = string_width(chunks, dtype.itemsize)
        return _strings(unshuffle_bytes(chunks, dtype.itemsize, length, width), width)
    return np.frombuffer(unshuffle_bytes(chunks, dtype.itemsize, length, dtype.itemsize), dtype).astype(target)


def _strings(octets: bytes, size: int) -> np.ndarray:
    values = np.frombuffer(octets, f"S{size}").tolist()
    try:
        # All at once: no string contains a null, and in UTF-8 no other character contains a null byte.
        decoded = b"\0".join(values).decode().split("\0")
    except UnicodeDecodeError:
        decoded = []
    if len(decoded) != len(values):
        decoded = [text(value.partition(b"\0")[0]) for value in values]
    return np.array(decoded, dtype=object)
