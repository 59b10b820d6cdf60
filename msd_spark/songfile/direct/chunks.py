"""Chunks of a song file's datasets: where they lie, and their bytes inflated and put back in order.

Everything is held against the bytes there are before it is used. What is not as in the dataset's own
files raises `Unfamiliar`; h5py then reads the file.
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
"""Entries of a B-tree node of chunks: twice the rank that a superblock 0 implies. More chunks need a second level."""


@dataclass(frozen=True)
class _Leaf:
    """How the B-tree leaf of a dataset with a number of chunks is laid out, and what stands in it.

    Attributes
    ----------
    size : int
        Bytes of the node, with the room for further chunks that the library reads too.
    chunk_bytes : int
        Bytes of an inflated chunk.
    fields : struct.Struct
    entries, end : slice
        Of the fields: those of the chunks, and the offsets of the key after the last one.
    stride : int
        Fields a chunk: size, filters left out, an offset a dimension, address.
    head : tuple
        Signature, kind, level, number of chunks and neighbours.
    filters : tuple of int
        No filter is left out for any chunk.
    rows : tuple of int
        First row of each chunk.
    zeros : tuple of int
        Offsets of the chunks in any other dimension.
    ends : frozenset of tuple
        Offsets that the key after the last chunk may have: beyond that chunk, in whichever dimension. The
        library finds no chunk beyond that key.
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
    view : memoryview
        The whole file.
    at : int
        Address of the index of the chunks.
    count : int
        Chunks that the dataset must have.
    chunk_rows : int
        Rows a chunk.
    rest : tuple of int
        The chunk's other dimensions, and the bytes of an element.

    Raises
    ------
    Unfamiliar
        When the index is not one leaf with each chunk once, in order, or a chunk is not sound.
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
    """Inflate a chunk.

    Parameters
    ----------
    stored : memoryview
        A zlib stream.
    size : int
        Bytes that it must hold.

    Raises
    ------
    Unfamiliar
        When it is no sound stream of that many bytes.
    """
    # Deflate expands a thousand times at most: with the stored size bounded, memory is.
    if len(stored) > 2 * size + 1024:
        raise Unfamiliar("a chunk stored in more bytes than it has")
    try:
        values = isal_zlib.decompress(stored, 15, size)
    except (isal_zlib.IsalError, ValueError) as error:  # type: ignore[misc]  # the stub declares an instance
        raise Unfamiliar(str(error)) from None
    if len(values) != size:
        raise Unfamiliar("a chunk of another size")
    return values


def unshuffle_doubles(chunks: list[bytes], used: int) -> np.ndarray:
    """Put the bytes of float64 chunks back in order.

    Parameters
    ----------
    chunks : list of bytes
        Inflated, all of one size: first bytes of all elements, then second bytes, and so on.
    used : int
        Elements wanted of each chunk, from its first on.

    Returns
    -------
    numpy.ndarray
        Shape ``(len(chunks), used)``, float64.
    """
    planes = np.frombuffer(b"".join(chunks), np.uint8).reshape(len(chunks), 4, 2, -1)[..., :used]
    # Pairing bytes by arithmetic runs on vectors, and strided copies of pairs take half as long as those of bytes.
    pairs = planes[:, :, 1].astype("<u2")
    pairs <<= 8
    pairs |= planes[:, :, 0]
    values = np.empty((len(chunks), used, 4), "<u2")
    for place in range(4):
        values[:, :, place] = pairs[:, place]
    return values.view("<f8").reshape(len(chunks), used)


def string_width(chunks: list[bytes], size: int) -> int:
    """Return how many bytes of each string need putting in order: a quarter where all that follows is nulls.

    Strings are far shorter than there is room for; shuffled, their ends are one long run of nulls.
    """
    narrow = size // 4
    nulls = bytes((size - narrow) * (len(chunks[0]) // size))
    return narrow if all(chunk.endswith(nulls) for chunk in chunks) else size


def unshuffle_bytes(chunks: list[bytes], size: int, rows: int, width: int) -> bytes:
    """Put the bytes of chunks of any element back in order.

    Parameters
    ----------
    chunks : list of bytes
        Inflated, as for `unshuffle_doubles`.
    size : int
        Bytes of an element.
    rows : int
        Elements wanted, from the first chunk's first on.
    width : int
        Bytes wanted of each element.
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
