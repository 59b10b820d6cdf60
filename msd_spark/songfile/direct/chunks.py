"""Locate, inflate and unshuffle the chunks of a song file's datasets.

Every offset and size is checked before use. Anything unlike the dataset's own files raises `Unfamiliar`, and h5py
reads the file.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from itertools import product

import numpy as np
from isal import isal_zlib

from msd_spark.songfile.direct.structure import UNDEFINED, Unfamiliar, want

MOST_CHUNKS = 64
"""Entries per B-tree node of chunks: twice the rank implied by superblock 0. More chunks need a second level."""


@lru_cache(maxsize=1024)
def _layout(count: int, chunk_rows: int, rest: tuple[int, ...]) -> tuple[struct.Struct, tuple[int, ...], frozenset]:
    """Return fields, row offsets and valid end keys of a B-tree leaf of `count` chunks.

    Per chunk, the fields are size, filter mask, one offset per dimension, and address. Row offsets
    are those of the chunks in the first dimension. The key after the last chunk is valid if it is beyond that chunk in
    any dimension. HDF5 finds no chunk beyond that key.
    """
    key = f"II{1 + len(rest)}Q"
    last = ((count - 1) * chunk_rows, *(0 for _ in rest))
    ends = product((last[0], count * chunk_rows), *((0, size) for size in rest))
    fields = struct.Struct("<4sBBHQQ" + (key + "Q") * count + key)
    return fields, tuple(range(0, count * chunk_rows, chunk_rows)), frozenset(end for end in ends if end > last)


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
    want(count <= MOST_CHUNKS, "more chunks than a leaf has")
    layout, rows, ends = _layout(count, chunk_rows, rest)
    rank = 1 + len(rest)
    # HDF5 reads the whole node, including its unused entries.
    want(at + 24 + MOST_CHUNKS * (16 + 8 * rank) + 8 + 8 * rank <= len(view), "an index outside the file")
    fields = layout.unpack_from(view, at)
    entries, stride = fields[6 : -2 - rank], 3 + rank
    want(
        fields[:6] == (b"TREE", 1, 0, count, UNDEFINED, UNDEFINED)
        and not any(entries[1::stride])  # every chunk has all filters
        and entries[2::stride] == rows,
        "an unusual index of chunks",
    )
    for place in range(3, stride - 1):
        want(not any(entries[place::stride]), "chunks with unusual offsets")
    want(fields[-rank:] in ends, "an index of chunks with an unusual end")
    chunk_bytes = math.prod((chunk_rows, *rest))
    chunks = []
    for size, address in zip(entries[::stride], entries[stride - 1 :: stride], strict=True):
        stored = view[address : address + size]
        want(len(stored) == size, "a chunk outside the file")
        chunks.append(inflate(stored, chunk_bytes))
    return chunks


def inflate(stored: memoryview, size: int) -> bytes:
    """Inflate a chunk; raise `Unfamiliar` if it is not a valid zlib stream of `size` bytes."""
    # Deflate expands at most a thousandfold, so the bound on the stored size bounds memory.
    want(len(stored) <= 2 * size + 1024, "a chunk with too many stored bytes")
    try:
        values = isal_zlib.decompress(stored, 15, size)
    except (isal_zlib.IsalError, ValueError) as error:  # type: ignore[misc]  # the stub declares an instance
        raise Unfamiliar(str(error)) from None
    want(len(values) == size, "a chunk of another size")
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
