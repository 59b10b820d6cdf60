"""The structure that song files of one kind share: all but lengths, chunks and dates.

A `Skeleton` has the bytes of a file's HDF5 structures (34 KB of groups, types and attributes) and the positions of each
dataset's length and chunk index in them. A file with matching bytes needs no walk through its structures: every
step would read the same bytes and have the same result.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from h5py import h5t

from msd_spark.core.song_layout import ARRAYS, GROUPS, TABLES, Array, Table
from msd_spark.songfile.direct.structure import (
    DATASPACE,
    DATATYPE,
    FILTERS,
    LAYOUT,
    Message,
    Unfamiliar,
    Walk,
    walk_group,
    walk_header,
    walk_root,
    want,
)

ITEMS: tuple[Table | Array, ...] = (*TABLES, *ARRAYS)
"""The datasets of a song file, tables first."""

LARGEST_CHUNK = 1 << 17
"""Limit on an inflated chunk (those of the dataset have at most 16 KiB)."""

MAX_STRUCTURE_BYTES = 1 << 18
"""Limit on the end of the structures (those of the dataset end at 34 KB)."""

_SHUFFLE, _DEFLATE = 2, 1


@dataclass(frozen=True)
class Skeleton:
    """The structures of a file, and the positions of its values.

    Attributes
    ----------
    size : int
        Bytes covered from the beginning of the file, a multiple of 8.
    pattern, mask : numpy.ndarray
        Shape ``(size / 8,)``, unsigned: bytes of the structures, and the bits to compare.
    slots : numpy.ndarray
        Shape ``(2 * 24, 8)``: offsets of the bytes of each dataset's length, then of its chunk index.
    chunk_rows : tuple of int
        Rows per chunk of each of `ITEMS`.
    """

    size: int
    pattern: np.ndarray
    mask: np.ndarray
    slots: np.ndarray
    chunk_rows: tuple[int, ...]

    def match(self, image: bytes) -> tuple[list[int], list[int]] | None:
        """Return length and index address of each of `ITEMS`, None if the file's structures differ."""
        if len(image) < self.size or int.from_bytes(image[40:48], "little") != len(image):
            return None
        difference = np.frombuffer(image, np.uint64, self.size // 8) ^ self.pattern
        difference &= self.mask
        if difference.any():
            return None
        values = np.frombuffer(image, np.uint8, self.size)[self.slots].view(np.uint64).ravel().tolist()
        return values[: len(ITEMS)], values[len(ITEMS) :]


def find_skeleton(image: bytes) -> Skeleton:
    """Find the structure of a song file; raise `Unfamiliar` if it is not the dataset's own."""
    walk = Walk(image)
    root = walk_root(walk)
    try:
        groups = {name: walk_group(walk, root[name.encode()]) for name in GROUPS}
        headers = [groups[item.group][_name(item)] for item in ITEMS]
    except KeyError as error:
        raise Unfamiliar(f"there is no {error}") from None
    lengths, indices, flags, chunk_rows = [], [], [], []
    for item, header in zip(ITEMS, headers, strict=True):
        messages = walk_header(walk, header)
        _check_type(item, _only(messages, DATATYPE))
        _check_filters(item, _only(messages, FILTERS))
        lengths.append(_length_at(item, _only(messages, DATASPACE)))
        layout = _only(messages, LAYOUT)
        chunk_rows.append(_chunk_rows(item, layout))
        indices.append(layout.at + 3)
        flags.append(layout.flags_at)
    slots = [slice(at, at + 8) for at in (*lengths, *indices)]
    return _skeleton(walk, slots, flags, tuple(chunk_rows))


def _skeleton(walk: Walk, slots: list[slice], flags: list[int], chunk_rows: tuple[int, ...]) -> Skeleton:
    size = -(-max(span.stop for span in walk.fixed) // 8) * 8
    want(size <= min(MAX_STRUCTURE_BYTES, len(walk.image)), "structures far into the file")
    mask = np.zeros(size, np.uint8)
    for span in walk.fixed:
        mask[span] = 0xFF
    for span in (*walk.free, *slots):
        mask[span] = 0
    mask[flags] = 0xFE  # bit 0 of a layout's flags, "will not change", is set for datasets with chunks
    return Skeleton(
        size=size,
        pattern=np.frombuffer(walk.image, np.uint64, size // 8) & mask.view(np.uint64),
        mask=mask.view(np.uint64),
        slots=np.array([range(span.start, span.stop) for span in slots]),
        chunk_rows=chunk_rows,
    )


def row_shape(item: Table | Array) -> tuple[int, ...]:
    """Return the shape of a dataset's row."""
    return item.row_shape if isinstance(item, Array) else ()


def element_type(item: Table | Array) -> np.dtype:
    """Return the type of a dataset's element."""
    return np.dtype(item.dtype) if isinstance(item, Array) else item.columns


def _name(item: Table | Array) -> bytes:
    return item.path.rsplit("/", 1)[1].encode()


def _only(messages: list[Message], kind: int) -> Message:
    matching = [message for message in messages if message.kind == kind]
    want(len(matching) == 1, f"{len(matching)} messages of kind {kind}")
    return matching[0]


def _length_at(item: Table | Array, message: Message) -> int:
    """Return the position of a dataset's length, its first dimension."""
    width = row_shape(item)
    rank = 1 + len(width)
    usual = len(message.body) >= 8 + 8 * rank and message.body[:2] == bytes([1, rank])
    want(usual, f"{item.path} has an unusual dataspace")
    want(struct.unpack_from(f"<{rank}Q", message.body, 8)[1:] == width, f"{item.path} has rows of another width")
    return message.at + 8


def _chunk_rows(item: Table | Array, message: Message) -> int:
    width, size = row_shape(item), element_type(item).itemsize
    rank = 2 + len(width)
    in_chunks = len(message.body) >= 11 + 4 * rank and message.body[:3] == bytes([3, 2, rank])
    want(in_chunks, f"{item.path} is not in chunks")
    rows, *rest = struct.unpack_from(f"<{rank}I", message.body, 11)
    fits = 0 < rows * size * (width[0] if width else 1) <= LARGEST_CHUNK
    want(tuple(rest) == (*width, size) and fits, f"{item.path} has unusual chunks")
    return rows


def _check_filters(item: Table | Array, message: Message) -> None:
    """Check that the filters are shuffle, then deflate."""
    body, filters, at = message.body, [], 8
    unusual = f"{item.path} has unusual filters"
    want(body[:2] == b"\1\2", unusual)
    for _ in range(2):
        want(at + 8 <= len(body), unusual)
        kind, name, _, count = struct.unpack_from("<4H", body, at)
        at += 8 + name
        want(name % 8 == 0 and count == 1 and at + 8 <= len(body), unusual)
        filters.append((kind, *struct.unpack_from("<I", body, at)))
        at += 8  # one value and its padding
    want(filters[0] == (_SHUFFLE, element_type(item).itemsize) and filters[1][0] == _DEFLATE, unusual)


def _check_type(item: Table | Array, message: Message) -> None:
    expected = hdf5_type(element_type(item)).encode()[2:]  # without the kind and version of the encoding
    want(message.body[: len(expected)] == expected, f"{item.path} has an unusual type")


def hdf5_type(dtype: np.dtype) -> h5t.TypeID:
    """Return the HDF5 type, with null-terminated strings as PyTables declares them."""
    if dtype.names:
        compound = h5t.create(h5t.COMPOUND, dtype.itemsize)
        for name in dtype.names:
            field, offset = dtype.fields[name][:2]  # type: ignore[index]  # a compound type has fields
            compound.insert(name.encode(), offset, hdf5_type(field))
        return compound
    if dtype.kind == "S":
        text = h5t.C_S1.copy()
        text.set_size(dtype.itemsize)
        return text
    return h5t.py_create(dtype)
