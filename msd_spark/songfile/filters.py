"""HDF5 filters of song files: which are read, and how many bytes a stored chunk decodes to.

HDF5 reads beyond a chunk that decodes to too few bytes, and some filters allocate what the file declares. Therefore a
chunk is decoded, or its header checked, before HDF5 reads it.

References
----------
.. [1] HDF Group, "HDF5 Filters" and "Registered Filter Plugins": https://github.com/HDFGroup/hdf5_plugins
"""

from __future__ import annotations

import bz2
import struct
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from h5py import h5p, h5z

from msd_spark.songfile.song import SongFileError

with suppress(ImportError):
    import hdf5plugin  # noqa: F401  # registers its filters

BLOSC, BZIP2, LZF, ZSTD = 32001, 307, 32000, 32015

NAMES = {
    h5z.FILTER_SZIP: "szip",
    h5z.FILTER_NBIT: "n-bit",
    305: "LZO",
    BZIP2: "bzip2",
    LZF: "lzf",
    BLOSC: "blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    ZSTD: "zstd",
    32026: "blosc2",
}
"""Names of filters that may be missing."""

PLUGINS = frozenset({BLOSC, BZIP2, ZSTD})
"""Filters that need hdf5plugin."""

REWRITE = "h5repack -f GZIP=1 IN.h5 OUT.h5"

_OPAQUE = (BLOSC, h5z.FILTER_SCALEOFFSET)
"""Filters of which only the header is checked: no filter but shuffle may be before one."""

_CHECKSUM_BYTES = 4
_SCALE_OFFSET = struct.Struct("<IB16x")
_BLOSC = struct.Struct("<4x3I")


class Filter(NamedTuple):
    """A filter of a dataset: its registered number and its parameters."""

    number: int
    values: tuple[int, ...]


def filters_of(creation: h5p.PropDCID, path: str) -> tuple[Filter, ...]:
    """Return the filters of a dataset, in the order of writing.

    Raises a `SongFileError` with ``unsupported_filter`` if one is not read here.
    """
    filters: list[Filter] = []
    for place in range(creation.get_nfilters()):
        number, _, values, _ = creation.get_filter(place)
        name = NAMES.get(number, f"HDF5 filter {number}")
        if number not in _DECODERS:
            raise SongFileError("unsupported_filter", f"{path} uses {name}; rewrite the file: {REWRITE}")
        if number in PLUGINS and not h5z.filter_avail(number):
            remedy = f"install hdf5plugin on every worker, or rewrite the file: {REWRITE}"
            raise SongFileError("unsupported_filter", f"{path} uses {name}; {remedy}")
        if number in _OPAQUE and any(one.number != h5z.FILTER_SHUFFLE for one in filters):
            raise SongFileError("unsupported_filter", f"{path} uses {name} after another; rewrite the file: {REWRITE}")
        filters.append(Filter(number, tuple(values)))
    return tuple(filters)


def check_chunk(stored: bytes, skipped: int, filters: Sequence[Filter], size: int) -> None:
    """Check that a stored chunk decodes to `size` bytes; raise a `ValueError` otherwise.

    Bit i of `skipped` is set if filter i was not applied to the chunk.
    """
    content = stored
    for place, one in reversed(list(enumerate(filters))):
        if not skipped >> place & 1:
            content = _DECODERS[one.number](content, one.values, size)
    if len(content) != size:
        raise ValueError(f"a chunk does not have {size} bytes")


def _inflated(content: bytes, _values: Sequence[int], size: int) -> bytes:
    return zlib.decompressobj().decompress(content, size + _CHECKSUM_BYTES + 1)


def _bunzipped(content: bytes, _values: Sequence[int], size: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(content, size + _CHECKSUM_BYTES + 1)


def _zstd(content: bytes, _values: Sequence[int], size: int) -> bytes:
    return bytes(pa.Codec("zstd").decompress(content, size, asbytes=True))  # an error if it has another size


def _unshuffled(content: bytes, values: Sequence[int], _size: int) -> bytes:
    (width,) = values
    n_items = len(content) // width
    items = np.frombuffer(content, np.uint8, n_items * width).reshape(width, n_items).T
    return items.tobytes() + content[n_items * width :]


def _without_checksum(content: bytes, _values: Sequence[int], _size: int) -> bytes:
    if len(content) < _CHECKSUM_BYTES:
        raise ValueError("a chunk is shorter than its checksum")
    return content[:-_CHECKSUM_BYTES]


def _lzf(content: bytes, values: Sequence[int], size: int) -> bytes:
    """Decode LZF: runs of literal bytes, and copies of earlier ones."""
    if len(values) > 2 and values[2] not in (0, size):
        raise ValueError(f"chunks of {values[2]} bytes are declared")
    out, at = bytearray(), 0
    while at < len(content) and len(out) <= size + _CHECKSUM_BYTES:
        control, at = content[at], at + 1
        if control < 32:
            out += content[at : at + control + 1]
            at += control + 1
            continue
        length = (control >> 5) + 2
        if length == 9:
            length, at = length + content[at], at + 1
        start, at = len(out) - ((control & 31) << 8) - content[at] - 1, at + 1
        if start < 0:
            raise ValueError("a copy begins before the chunk")
        while length:
            piece = out[start : start + length]
            out += piece
            length -= len(piece)
    if at > len(content):
        raise ValueError("a chunk is cut off")
    return bytes(out)


def _scale_offset(content: bytes, values: Sequence[int], size: int) -> bytes:
    n_items, width = values[2], values[4]
    n_bits, _ = _SCALE_OFFSET.unpack_from(content)
    n_bytes = _SCALE_OFFSET.size + (n_items * n_bits + 7) // 8
    if n_items * width != size or n_bits > 8 * width or n_bytes > len(content):
        raise ValueError("a chunk is shorter than declared")
    return bytes(size)


def _blosc(content: bytes, _values: Sequence[int], size: int) -> bytes:
    n_bytes, _, n_packed = _BLOSC.unpack_from(content)
    if n_bytes != size or n_packed != len(content):
        raise ValueError(f"a chunk declares {n_bytes} bytes, packed in {n_packed}")
    return bytes(size)


_DECODERS: dict[int, Callable[[bytes, Sequence[int], int], bytes]] = {
    h5z.FILTER_DEFLATE: _inflated,
    h5z.FILTER_SHUFFLE: _unshuffled,
    h5z.FILTER_FLETCHER32: _without_checksum,
    h5z.FILTER_SCALEOFFSET: _scale_offset,
    LZF: _lzf,
    BLOSC: _blosc,
    BZIP2: _bunzipped,
    ZSTD: _zstd,
}
"""Functions that return the bytes of a chunk, or zeros of their number, given the parameters and the chunk's size."""
