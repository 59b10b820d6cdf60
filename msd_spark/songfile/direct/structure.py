"""Walk the HDF5 structures of a song file down to its datasets, checking every offset.

It knows only the structures of the dataset's own files: superblock 0, groups as symbol tables of one B-tree leaf,
version 1 object headers. Anything else raises `Unfamiliar`, and h5py reads the file. The walk records every byte on
which its result, or that of HDF5, depends; see `msd_spark.songfile.direct.skeleton`.

References
----------
.. [1] HDF5 File Format Specification 3.0: II.A superblock, III.A.1 version 1 B-trees, III.B and III.C symbol
   tables, III.D local heap, IV.A.1.a version 1 object headers, IV.A.2 their messages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1
END_OF_FILE = slice(40, 48)
"""Position of the file size in superblock 0."""

DATASPACE, DATATYPE, LAYOUT, FILTERS = 0x01, 0x03, 0x08, 0x0B
_ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE, _MODIFIED = 0x0C, 0x10, 0x11, 0x12
_SHARED = 0x02  # flag of a message whose body is stored elsewhere
_INTEGER = 0x10  # class and version of an integer's type
_MOST_BLOCKS = 16  # per object header; those of the dataset have at most two
_MOST_BYTES = 1 << 18  # of all structures, to bound the walk of a hostile file; those of the dataset have 34 KB

_SUPERBLOCK = struct.Struct("<8s8B2HI4Q")
_ENTRY = struct.Struct("<2Q2I16s")  # of a symbol table: name, header, kind of cache, -, cache
_HEADER = struct.Struct("<BBHIII")
_MESSAGE = struct.Struct("<HHB3s")
_NODE = struct.Struct("<4sBBHQQ")


class Unfamiliar(Exception):  # noqa: N818  # not an error: h5py decides about the file
    """The file has a structure that the direct reader does not know."""


@dataclass(frozen=True)
class Message:
    """A message of an object header, with the offsets of its body and of its flags."""

    kind: int
    at: int
    body: bytes
    flags_at: int


@dataclass
class Walk:
    """A file's bytes, and those that the walk depends on.

    Attributes
    ----------
    fixed : list of slice
        Bytes that must be equal in another file for the same result.
    free : list of slice
        Bytes within those that may differ.
    taken : int
        Number of bytes read.
    """

    image: bytes
    fixed: list[slice] = field(default_factory=list)
    free: list[slice] = field(default_factory=list)
    taken: int = 0

    def take(self, at: int, size: int) -> bytes:
        """Return `size` bytes and record them as fixed."""
        self.taken += size
        if at < 0 or size < 0 or at + size > len(self.image) or self.taken > _MOST_BYTES:
            raise Unfamiliar(f"{size} bytes at {at} are not in the file, or too many")
        self.fixed.append(slice(at, at + size))
        return self.image[at : at + size]

    def unpack(self, layout: struct.Struct, at: int) -> tuple:
        """Return the fields at an offset and record them as fixed."""
        return layout.unpack(self.take(at, layout.size))


def want(condition: bool, what: str) -> None:
    """Raise `Unfamiliar` unless a condition holds."""
    if not condition:
        raise Unfamiliar(what)


def walk_root(walk: Walk) -> dict[bytes, int]:
    """Return the object header of each member of the root group."""
    want(len(walk.image) >= _SUPERBLOCK.size + _ENTRY.size, "no superblock")
    fields = walk.unpack(_SUPERBLOCK, 0)
    walk.free.append(END_OF_FILE)
    signature, versions, leaf_rank, rank = fields[0], fields[1:9], fields[9], fields[10]
    base, free_space, end, driver = fields[12:]
    want(signature == SIGNATURE and versions == (0, 0, 0, 0, 0, 8, 8, 0), "not superblock 0 with 8-byte offsets")
    want((leaf_rank, rank) == (4, 16), "unusual ranks of B-trees")
    want((base, free_space, driver) == (0, UNDEFINED, UNDEFINED), "unusual superblock")
    want(end == len(walk.image), "the file size differs from the superblock")
    header = walk.unpack(_ENTRY, _SUPERBLOCK.size)[1]
    return walk_group(walk, header)


def walk_group(walk: Walk, header: int) -> dict[bytes, int]:
    """Return the object header of each member of a group."""
    tables = [message.body for message in walk_header(walk, header) if message.kind == _SYMBOL_TABLE]
    want(len(tables) == 1 and len(tables[0]) == 16, "not a group with a symbol table")
    tree, heap = struct.unpack("<QQ", tables[0])
    names = _heap(walk, heap)
    signature, kind, level, used, left, right = walk.unpack(_NODE, tree)
    want((signature, kind, level) == (b"TREE", 0, 0) and 1 <= used <= 32, "unusual B-tree of a group")
    want((left, right) == (UNDEFINED, UNDEFINED), "a group's B-tree has neighbours")
    walk.take(tree + _NODE.size, 8 * 65)  # the whole node: 32 children and 33 keys
    members: dict[bytes, int] = {}
    for child in struct.unpack_from("<" + "QQ" * used, walk.image, tree + _NODE.size)[1::2]:
        for name_at, address in _symbols(walk, child):
            end = names.find(b"\0", name_at)
            want(0 <= name_at < end, "a name outside the heap")
            name = names[name_at:end]
            want(name not in members, "a name twice")
            members[name] = address
    return members


def _heap(walk: Walk, at: int) -> bytes:
    """Return the data of a local heap."""
    signature, size, _, data = walk.unpack(struct.Struct("<4s4x3Q"), at)
    want(signature == b"HEAP", "no heap where a group's names are")
    return walk.take(data, size)


def _symbols(walk: Walk, at: int) -> Iterator[tuple[int, int]]:
    """Yield name offset and header of each entry of a symbol table node."""
    signature, version, used = walk.unpack(struct.Struct("<4sBxH"), at)
    want((signature, version) == (b"SNOD", 1) and used <= 8, "unusual symbol table")
    body = walk.take(at + 8, 8 * _ENTRY.size)
    for number in range(used):
        name_at, header, cache, _, _ = _ENTRY.unpack_from(body, number * _ENTRY.size)
        want(cache in (0, 1), "a symbolic link")
        yield name_at, header


def walk_header(walk: Walk, at: int) -> list[Message]:
    """Return the messages of a version 1 object header, including its continuations."""
    version, _, count, _, size, _ = walk.unpack(_HEADER, at)
    want(version == 1, "not a version 1 object header")
    blocks, messages = [(at + _HEADER.size, size)], []
    for number, (start, length) in enumerate(blocks):  # grows with each continuation
        want(number < _MOST_BLOCKS, "an object header in too many pieces")
        for message in _block(walk, start, length):
            messages.append(message)
            if message.kind == _CONTINUATION:
                want(len(message.body) == 16, "an unusual continuation")
                blocks.append(struct.unpack("<QQ", message.body))
    want(len(messages) == count, "an object header with another number of messages")
    return messages


def _block(walk: Walk, start: int, length: int) -> Iterator[Message]:
    block = walk.take(start, length)
    at = 0
    while at < length:
        want(at + _MESSAGE.size <= length, "a message cut off")
        kind, size, flags, _ = _MESSAGE.unpack_from(block, at)
        body_at = at + _MESSAGE.size
        want(body_at + size <= length and not flags & _SHARED, "an unusual message")
        message = Message(kind, start + body_at, block[body_at : body_at + size], start + at + 4)
        _free_what_is_not_read(walk, message)
        yield message
        at = body_at + size


def _free_what_is_not_read(walk: Walk, message: Message) -> None:
    """Record the modification time, and integers in attributes (counters), as free to differ."""
    if message.kind == _MODIFIED and len(message.body) == 8:
        walk.free.append(slice(message.at + 4, message.at + 8))
    elif message.kind == _ATTRIBUTE and message.body[:1] == b"\1" and len(message.body) >= 8:
        name, kind, space = struct.unpack_from("<3H", message.body, 2)
        kind_at = 8 + -(-name // 8) * 8
        value_at = kind_at + -(-kind // 8) * 8 + -(-space // 8) * 8
        integer = message.body[kind_at : kind_at + 1] == bytes([_INTEGER])
        if integer and kind == 12 and space == 8 and len(message.body) - value_at == 8:
            walk.free.append(slice(message.at + value_at, message.at + value_at + 8))
