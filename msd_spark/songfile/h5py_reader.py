"""Read a song file with h5py: reference for the direct reader, fallback for unusual files.

The bytes become an in-memory HDF5 file, which is read through h5py's low-level interface, because it does less per
dataset. Before the library reads a dataset, its declared size is compared with limits: a few bytes can declare
terabytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count, product

import numpy as np
from h5py import h5d, h5f, h5g, h5l, h5p, h5s, h5t

from msd_spark.core.schemas import ARRAY_COLUMNS, POINTER_PREFIX
from msd_spark.core.song_layout import ARRAYS, TABLES, Array, Table
from msd_spark.songfile.direct.structure import SIGNATURE
from msd_spark.songfile.filters import Filter, check_chunk, filters_of
from msd_spark.songfile.song import Song, SongFileError, scalar, text

MAX_ROWS = 1_000_000
"""Limit on the rows of an array (the longest of the dataset has a few thousand)."""

MAX_BYTES = 32 << 20
"""Limit on the bytes of all arrays of a song; ten hours of music reach it."""

MAX_CHUNK_BYTES = 4 << 20
"""Limit on the bytes of a chunk, stored or inflated (those of the dataset have 16 KiB)."""

MAX_CHUNKS = 4096
"""Limit on the chunks of an array (the longest of the dataset has 39)."""

_NUMBERS = {
    h5t.FLOAT: (h5t.IEEE_F64LE, h5t.IEEE_F32LE, h5t.IEEE_F64BE, h5t.IEEE_F32BE),
    h5t.INTEGER: (
        h5t.STD_I32LE,
        h5t.STD_I64LE,
        h5t.STD_I16LE,
        h5t.STD_I8LE,
        h5t.STD_U8LE,
        h5t.STD_I32BE,
        h5t.STD_I64BE,
    ),
}
_OFFSET_SIZES_AT, _END_OF_FILE_AT = 13, {0: 40, 1: 44}

Chunks = dict[tuple[int, ...], h5d.StoreInfo]
"""Chunks of a dataset by their first row and column."""

_numbers = count(1)

LIBRARY_ERRORS = (
    AttributeError, LookupError, MemoryError, OSError, OverflowError, RuntimeError, TypeError, ValueError,
    ZeroDivisionError, struct.error, zlib.error,
)  # fmt: skip
"""Errors that h5py and zlib raise for a damaged file, depending on the damage."""


def read_with_h5py(image: bytes) -> Song:
    """Return every field of a song file, before the checks of `check_song`.

    Raises a `SongFileError` if the bytes cannot be read as a song file.
    """
    if not image:
        raise SongFileError("empty_file", "the file has no bytes")
    file = _open(image)
    try:
        song: Song = {}
        for table in TABLES:
            song.update(_read_table(file, table))
        budget = MAX_BYTES
        for array in ARRAYS:
            song[array.name], taken = _read_array(file, array, budget)
            budget -= taken
    finally:
        file.close()
    song["n_segments"] = len(song["segments_start"])
    return song


def _open(image: bytes) -> h5f.FileID:
    _check_length(image)
    if image[257:262] == b"ustar":  # HDF5 would take the header for a user block and read the first member
        raise SongFileError("not_hdf5", "it is a tar archive; rename it to .tar")
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(image)
    # HDF5 treats open images with the same name as one file, so it would read another song if a caller kept an
    # exception whose traceback refers to a dataset. Hence names are unique and closing is final.
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    with as_song_error("not_hdf5"):
        return h5f.open(b"song-%d" % next(_numbers), h5f.ACC_RDONLY, fapl=access)


def _check_length(image: bytes) -> None:
    """Raise ``truncated`` for an HDF5 file that is shorter than it states."""
    if not image.startswith(SIGNATURE) or len(image) < 56:
        return
    end_at = _END_OF_FILE_AT.get(image[8])
    if end_at and image[_OFFSET_SIZES_AT] == 8:
        end = int.from_bytes(image[end_at : end_at + 8], "little")
        if end > len(image):
            raise SongFileError("truncated", f"the file has {len(image)} bytes, its header states {end}")


def is_there(file: h5f.FileID, path: str) -> bool:
    """Return whether a file has the object ``group/name``; links are not followed."""
    group, _, name = path.encode().partition(b"/")
    if not file.links.exists(group) or file.links.get_info(group).type != h5l.TYPE_HARD:
        return False
    holder = h5g.open(file, group)
    return bool(holder.links.exists(name))


def open_dataset(file: h5f.FileID, path: str) -> h5d.DatasetID:
    """Open the dataset ``group/name`` of a file; a `SongFileError` if either is a link."""
    group, _, name = path.encode().partition(b"/")
    with as_song_error("missing_data", path):
        # The group is opened only if it is no link: opening an external one opens the other file, perhaps a pipe.
        if file.links.get_info(group).type == h5l.TYPE_HARD:
            holder = h5g.open(file, group)
            if holder.links.get_info(name).type == h5l.TYPE_HARD:
                return h5d.open(file, path.encode())
    # A soft link may lead to an external link, and thus to any file that this process can read.
    raise SongFileError("wrong_layout", f"{path} is a soft or external link")


def stored_chunks(dataset: h5d.DatasetID, first: int, stop: int) -> Chunks:
    """Return the chunks with rows from `first` to before `stop`, by their first row and column.

    It takes one pass over all chunks, as HDF5 takes for each chunk that is looked up.
    """
    creation, chunks = dataset.get_create_plist(), Chunks()
    if creation.get_layout() != h5d.CHUNKED:
        return chunks
    n_rows = creation.get_chunk()[0]

    def add(chunk: h5d.StoreInfo) -> None:
        if first - n_rows < chunk.chunk_offset[0] < stop:
            chunks[chunk.chunk_offset] = chunk

    dataset.chunk_iter(add)
    return chunks


def check_dataset(dataset: h5d.DatasetID, path: str, first: int, stop: int, chunks: Chunks | None = None) -> None:
    """Check the declaration of a dataset and the chunks of its rows `first` to `stop`.

    `chunks` has these chunks; None finds them. Raises a `SongFileError` with ``wrong_layout``, ``unsupported_filter``,
    ``implausible_size`` or ``unreadable_data``.
    """
    with as_song_error("wrong_layout", path):
        creation = dataset.get_create_plist()
        kind, external = creation.get_layout(), creation.get_external_count()
        filters = filters_of(creation, path)
        dtype = dataset.get_type()
        plain = _is_plain(dtype)
        chunk = dtype.get_size() * (math.prod(creation.get_chunk()) if kind == h5d.CHUNKED else 1)
    if external or kind not in (h5d.CHUNKED, h5d.CONTIGUOUS, h5d.COMPACT):
        raise SongFileError("wrong_layout", f"{path} has its data in other files")
    if not plain:
        raise SongFileError("wrong_layout", f"{path} has an unusual type")
    if chunk > MAX_CHUNK_BYTES:
        raise SongFileError("implausible_size", f"{path} has chunks of {chunk} bytes")
    if kind == h5d.CHUNKED and first < stop:
        _check_chunks(dataset, path, chunk, filters, first, stop, chunks)


def _is_plain(dtype: h5t.TypeID) -> bool:
    """Return whether a type, simple or compound, has only usual numbers and fixed-size strings.

    HDF5 reads beyond numbers of impossible widths.
    """
    kind = dtype.get_class()
    if kind == h5t.COMPOUND:
        members = [dtype.get_member_type(number) for number in range(dtype.get_nmembers())]
        return all(member.get_class() != h5t.COMPOUND and _is_plain(member) for member in members)
    if kind == h5t.STRING:
        return not dtype.is_variable_str()
    return any(dtype.equal(other) for other in _NUMBERS.get(kind, ()))


def _check_chunks(
    dataset: h5d.DatasetID,
    path: str,
    size: int,
    filters: Sequence[Filter],
    first: int,
    stop: int,
    chunks: Chunks | None,
) -> None:
    """Check that each chunk of some rows decodes to `size` bytes.

    HDF5 reads beyond shorter ones.
    """
    with as_song_error("unreadable_data", path):
        rows, *columns = dataset.get_create_plist().get_chunk()
        starts = [range(first // rows * rows, min(stop, dataset.shape[0]), rows)]
        starts += [range(0, width, step) for width, step in zip(dataset.shape[1:], columns, strict=True)]
        n_chunks = math.prod(map(len, starts))
        if n_chunks > MAX_CHUNKS:
            raise SongFileError("implausible_size", f"{path} has {n_chunks} chunks")
        chunks = stored_chunks(dataset, first, stop) if chunks is None else chunks
        for start in product(*starts):
            info = chunks.get(start)
            if info is None or info.byte_offset is None:
                continue  # never written: HDF5 returns zeros
            if info.size > 2 * size + 1024:
                raise SongFileError("implausible_size", f"{path} stores {info.size} bytes for a chunk of {size}")
            stored = dataset.read_direct_chunk(info.chunk_offset)[1]
            if len(stored) != info.size:
                raise SongFileError("unreadable_data", f"{path} has a chunk that is not {info.size} bytes")
            check_chunk(stored, info.filter_mask, filters, size)


def _read(dataset: h5d.DatasetID, path: str, target: np.ndarray) -> None:
    check_dataset(dataset, path, 0, target.shape[0])
    with as_song_error("unreadable_data", path):
        dataset.read(h5s.ALL, h5s.ALL, target)


def _read_table(file: h5f.FileID, table: Table) -> Song:
    dataset = open_dataset(file, table.path)
    with as_song_error("wrong_layout", table.path):
        shape = tuple(dataset.shape or ())
    if shape != (1,):
        raise SongFileError("not_one_song", f"{table.path} has shape {shape}; a song file has (1,)")
    with as_song_error("wrong_layout", table.path):
        names = dataset.dtype.names or ()
    missing = set(table.columns.names or ()) - set(names)
    if missing:
        raise SongFileError("wrong_layout", f"{table.path} lacks {', '.join(sorted(missing))}")
    row = np.zeros(1, table.columns)
    _read(dataset, table.path, row)
    return {name: scalar(name, row[name][0]) for name in row.dtype.names or () if not name.startswith(POINTER_PREFIX)}


def _read_array(file: h5f.FileID, array: Array, budget: int) -> tuple[np.ndarray, int]:
    """Return an array and its number of bytes, which may be at most `budget`."""
    dataset = open_dataset(file, array.path)
    with as_song_error("wrong_layout", array.path):
        shape = tuple(dataset.shape or ())
    if len(shape) != 1 + len(array.row_shape) or shape[1:] != array.row_shape:
        raise SongFileError("wrong_layout", f"{array.path} has shape {shape}; expected (n, {array.width or ''})")
    size = math.prod(shape) * np.dtype(array.dtype).itemsize
    if shape[0] > MAX_ROWS or size > budget:
        raise SongFileError("implausible_size", f"{array.path} has {shape[0]} rows")
    target = np.zeros(shape, array.dtype)
    if shape[0]:
        _read(dataset, array.path, target)
    return as_column(target, array.name), size


def as_column(rows: np.ndarray, name: str) -> np.ndarray:
    """Return rows of an array, flat, with the type of the column in ``songs/``."""
    if rows.dtype.kind == "S":
        return np.array([text(value) for value in rows.tolist()], dtype=object)
    with np.errstate(over="ignore", invalid="ignore"):
        return rows.reshape(-1).astype(ARRAY_COLUMNS[name].value_type.to_pandas_dtype(), copy=False)


@contextmanager
def as_song_error(reason: str, path: str = "") -> Iterator[None]:
    """Convert the library's errors about a damaged file or object to a `SongFileError`."""
    try:
        yield
    except SongFileError:
        raise
    except LIBRARY_ERRORS as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise SongFileError(reason, f"{path}: {message}" if path else message) from None
