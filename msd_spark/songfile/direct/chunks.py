"""Locate, inflate and unshuffle the chunks of a song file's datasets.

Every offset and size is checked before use. Anything unlike the dataset's own files raises `Unfamiliar`, and h5py
reads the file.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from isal import isal_zlib

from msd_spark.songfile.direct.structure import UNDEFINED, Unfamiliar

MOST_CHUNKS = 64
"""Entries per B-tree node of chunks: twice the rank implied by superblock 0. More chunks need a second level."""


@dataclass(frozen=True)
class _Leaf:
    """Layout and expected content of the B-tree leaf of a dataset with a given number of chunks.

    Attributes
    ----------
    size : int
        Bytes of the node, including unused entries, which HDF5 reads too.
    chunk_bytes : int
        Bytes of an inflated chunk.
    entries, end : slice
        Of the fields: the chunks, and the offsets of the key after the last one.
    stride : int
        Fields per chunk: size, filter mask, one offset per dimension, address.
    head : tuple
        Signature, kind, level, number of chunks and neighbours.
    filters : tuple of int
        Filter masks: every chunk has all filters.
    rows, zeros : tuple of int
        Offsets of the chunks in the first and in any other dimension.
    ends : frozenset of tuple
        Valid offsets of the key after the last chunk: beyond that chunk, in any dimension. HDF5 finds no chunk beyond
        that key.
    """

    size: int
    chunk_bytes: int
    fields: struct.Struct
    entries: slice
    end: slice
    stride: int
    head: tuple
    filters: tuple[int, ...]
    rows: tuple[int, ...]
    zeros: tuple[int, ...]
    ends: frozenset[tuple[int, ...]]


@lru_cache(maxsize=1024)
def _leaf(count: int, chunk_rows: int, rest: tuple[int, ...]) -> _Leaf:
    rank = 1 + len(rest)
    key = f"II{rank}Q"
    last = ((count - 1) * chunk_rows, *(0 for _ in rest))
    ends = product((last[0], count * chunk_rows), *((0, size) for size in rest))
    return _Leaf(
        size=24 + MOST_CHUNKS * (16 + 8 * rank) + 8 + 8 * rank,
        chunk_bytes=math.prod((chunk_rows, *rest)),
        fields=struct.Struct("<4sBBHQQ" + (key + "Q") * count + key),
        entries=slice(6, -2 - rank),
        end=slice(-rank, None),
        stride=3 + rank,
        head=(b"TREE", 1, 0, count, UNDEFINED, UNDEFINED),
        filters=(0,) * count,
        rows=tuple(chunk_rows * number for number in range(count)),
        zeros=(0,) * count,
        ends=frozenset(end for end in ends if end > last),
    )


def read_chunks(view: memoryview, at: int, count: int, chunk_rows: int, rest: tuple[int, ...]) -> list[bytes]:
    """Return a dataset's chunks, inflated.

    Parameters
    ----------
    at : int
        Address of the chunk index.
    count : int
        Expected number of chunks; the index must be one leaf with each once, in order.
    chunk_rows : int
        Rows per chunk.
    rest : tuple of int
        The chunk's other dimensions, and the bytes per element.
    """
    if count > MOST_CHUNKS:
        raise Unfamiliar("more chunks than a leaf has")
    leaf = _leaf(count, chunk_rows, rest)
    if at + leaf.size > len(view):
        raise Unfamiliar("an index outside the file")
    fields = leaf.fields.unpack_from(view, at)
    entries, stride = fields[leaf.entries], leaf.stride
    if fields[:6] != leaf.head or entries[1::stride] != leaf.filters or entries[2::stride] != leaf.rows:
        raise Unfamiliar("an unusual index of chunks")
    if entries[3::stride] != leaf.zeros or entries[stride - 2 :: stride] != leaf.zeros:  # the same one, or both
        raise Unfamiliar("chunks with unusual offsets")
    if fields[leaf.end] not in leaf.ends:
        raise Unfamiliar("an index of chunks with an unusual end")
    chunks = []
    for size, address in zip(entries[::stride], entries[stride - 1 :: stride], strict=True):
        stored = view[address : address + size]
        if len(stored) != size:
            raise Unfamiliar("a chunk outside the file")
        chunks.append(inflate(stored, leaf.chunk_bytes))
    return chunks


def inflate(stored: memoryview, size: int) -> bytes:
    """Inflate a chunk; raise `Unfamiliar` if it is not a valid zlib stream of `size` bytes."""
    # Deflate expands at most a thousandfold, so the bound on the stored size bounds memory.
    if len(stored) > 2 * size + 1024:
        raise Unfamiliar("a chunk with too many stored bytes")
    try:
        values = isal_zlib.decompress(stored, 15, size)
    except (isal_zlib.IsalError, ValueError) as error:  # type: ignore[misc]  # the stub declares an instance
        raise Unfamiliar(str(error)) from None
    if len(values) != size:
        raise Unfamiliar("a chunk of another size")
    return values


def unshuffle_doubles(chunks: list[bytes], used: int) -> np.ndarray:
    """Return the first `used` elements of float64 chunks: shape ``(len(chunks), used)``.

    Inflated chunks, all of one size, hold the first bytes of all elements, then the second bytes, and so on.
    """
    planes = np.frombuffer(b"".join(chunks), np.uint8).reshape(len(chunks), 4, 2, -1)[..., :used]
    # Pairing bytes by arithmetic is vectorised, and strided copies of pairs take half as long as those of bytes.
    pairs = planes[:, :, 1].astype("<u2")
    pairs <<= 8
    pairs |= planes[:, :, 0]
    values = np.empty((len(chunks), used, 4), "<u2")
    for place in range(4):
        values[:, :, place] = pairs[:, place]
    return values.view("<f8").reshape(len(chunks), used)


def string_width(chunks: list[bytes], size: int) -> int:
    """Return the number of bytes per string to unshuffle: a quarter if all others are null.

    Strings are much shorter than their fields; after shuffling, the unused bytes are one long run of nulls.
    """
    narrow = size // 4
    nulls = bytes((size - narrow) * (len(chunks[0]) // size))
    return narrow if all(chunk.endswith(nulls) for chunk in chunks) else size


def unshuffle_bytes(chunks: list[bytes], size: int, rows: int, width: int) -> bytes:
    """Return the first `width` bytes of each of `rows` elements of `size` bytes.

    The chunks are shuffled as for `unshuffle_doubles`.
    """
    parts = []
    for chunk in chunks:
        planes = np.frombuffer(chunk, np.uint8).reshape(size, -1)[:width, :rows]
        parts.append(planes.T.tobytes())
        rows -= planes.shape[1]
    return b"".join(parts)


def first_row(chunk: bytes, chunk_rows: int) -> bytes:
    """Return the bytes of a chunk's first row."""
    return chunk[::chunk_rows]
