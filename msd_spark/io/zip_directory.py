"""Read a zip with a million members in slices of its directory, in parallel.

`zipfile` creates an object per member before it reads the first: about 600 MiB for Last.fm's archives, in every
worker. Here the directory at the end of the archive is split into slices of whole records, and a worker reads one slice
and its members. Nothing is unpacked to disk, and a member's name is never used as a path.

References
----------
.. [1] PKWARE, ".ZIP File Format Specification" (APPNOTE.TXT), 6.3: 4.3.7 local header, 4.3.12 central directory,
   4.3.14 to 4.3.16 its end, 4.5.3 Zip64 extra field.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

LARGEST_MEMBER = 16 << 20
"""Bytes; an entry of Last.fm has a few thousand."""

MOST_ARCHIVES = 1000
"""Archives one after the other in a file."""

_LOCAL = struct.Struct("<4s5H3I2H")
_RECORD = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCAL_MARK = b"PK\3\4"
_LONGEST_COMMENT = 0xFFFF
_IN_EXTRA, _ZIP64 = 0xFFFFFFFF, 1
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x1, 0x800


class ZipError(ValueError):
    """An archive, or a member of one, that is damaged or not supported."""


@dataclass(frozen=True)
class Slice:
    """A part of an archive's directory: start and length in bytes.

    `shift` is the number of bytes in front of the archive, to add to the offsets in the directory.
    """

    start: int
    length: int
    shift: int


@dataclass(frozen=True)
class Member:
    """A member's record in the directory."""

    name: str
    flags: int
    method: int
    checksum: int
    packed_size: int
    size: int
    header_at: int


def ends_of_archives(file: IO[bytes]) -> Iterator[int]:
    """Yield the end of each archive in a file, the last archive first.

    Raises a `ZipError` if the bytes before an archive begin like another one, but do not end like one.
    """
    end = file.seek(0, 2)
    for _ in range(MOST_ARCHIVES):
        yield end
        *_, shift = _find_directory(file, end)
        file.seek(0)
        if not shift or file.read(4) != _LOCAL_MARK:  # a program that unpacks itself is also in front of an archive
            return
        end = shift
    raise ZipError(f"more than {MOST_ARCHIVES} archives, one after the other")


def slice_directory(file: IO[bytes], members_a_slice: int, end: int | None = None) -> list[Slice]:
    """Split an archive's directory into slices of `members_a_slice` records.

    `end` is that of the archive; by default that of the file. Raises a `ZipError` if there is no archive, or if its
    directory is damaged.
    """
    n_members, start, size, shift = _find_directory(file, file.seek(0, 2) if end is None else end)
    file.seek(start)
    slices: list[Slice] = []
    at, first, n_read, rest = start, start, 0, b""
    while at < start + size:
        data = rest + file.read(min(1 << 20, start + size - at - len(rest)))
        place = 0
        while len(data) - place >= _RECORD.size:
            length = _record_length(data, place)
            if place + length > len(data):
                break
            place += length
            n_read += 1
            if n_read % members_a_slice == 0:
                slices.append(Slice(first, at + place - first, shift))
                first = at + place
        if not place:
            raise ZipError("its directory is cut off")
        at, rest = at + place, data[place:]
    if at > first:
        slices.append(Slice(first, at - first, shift))
    if n_read != n_members:
        raise ZipError(f"its directory has {n_read} members, its end record states {n_members}")
    return slices


def members(file: IO[bytes], part: Slice) -> Iterator[Member]:
    """Yield the members of a slice of the directory."""
    file.seek(part.start)
    data = file.read(part.length)
    place = 0
    while place < len(data):
        length = _record_length(data, place)
        fields = _RECORD.unpack_from(data, place)
        flags, method, checksum = fields[3], fields[4], fields[7]
        sizes = {"size": fields[9], "packed_size": fields[8], "header_at": fields[16]}
        name_at = place + _RECORD.size
        extra_at = name_at + fields[10]
        _read_zip64(data[extra_at : extra_at + fields[11]], sizes)
        name = data[name_at:extra_at].decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        name = name.replace("\\", "/")  # programs for Windows write backslashes
        sizes["header_at"] += part.shift
        yield Member(name, flags, method, checksum, **sizes)
        place += length


def read_member(file: IO[bytes], member: Member, largest: int = LARGEST_MEMBER) -> bytes:
    """Return the content of a member after comparing its checksum.

    Raises a `ZipError` if it is damaged, encrypted, compressed by another method than deflate, or has more than
    `largest` bytes.
    """
    if member.flags & _ENCRYPTED or member.method not in (_STORED, _DEFLATED):
        raise ZipError("encrypted, or compressed by an unsupported method")
    if max(member.size, member.packed_size) > largest:
        raise ZipError(f"{member.size} bytes, more than {largest}")
    file.seek(member.header_at)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != _LOCAL_MARK:
        raise ZipError("no member at the offset in the directory")
    *_, name_length, extra_length = _LOCAL.unpack(header)
    file.seek(member.header_at + _LOCAL.size + name_length + extra_length)
    content = file.read(member.packed_size)
    if member.method == _DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.size + 1)
        except zlib.error as error:
            raise ZipError(f"damaged: {error}") from None
    if len(content) != member.size or zlib.crc32(content) != member.checksum:
        raise ZipError("damaged: size or checksum differ")
    return content


def _find_directory(file: IO[bytes], end: int) -> tuple[int, int, int, int]:
    """Return the number of members, the directory's offset and size, and the shift of offsets."""
    tail_at = max(0, end - _END.size - _LONGEST_COMMENT)
    file.seek(tail_at)
    tail = file.read(end - tail_at)
    end_record = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    if end_record < 0:
        raise ZipError("not a zip, or its end is missing")
    *_, n_members, size, start, _comment = _END.unpack_from(tail, end_record)
    end_at = tail_at + end_record
    if end_at >= _LOCATOR.size:
        file.seek(end_at - _LOCATOR.size)
        mark, _, end_64_at, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if mark == b"PK\6\7":
            if end_at < _LOCATOR.size + _END_64.size:
                raise ZipError("its directory is cut off")
            # The Zip64 end record directly precedes its locator, whatever is in front of the archive.
            file.seek(end_at - _LOCATOR.size - _END_64.size)
            fields = _END_64.unpack(file.read(_END_64.size))
            if fields[0] != b"PK\6\6":
                raise ZipError(f"no Zip64 end record, expected at {end_64_at}")
            n_members, size, start = fields[7:]
            end_at -= _LOCATOR.size + _END_64.size
    shift = end_at - size - start
    if shift < 0:
        raise ZipError("its directory is cut off")
    return n_members, start + shift, size, shift


def _record_length(data: bytes, place: int) -> int:
    """Return the length of the directory record at an offset."""
    if data[place : place + 4] != b"PK\1\2" or len(data) - place < _RECORD.size:
        raise ZipError("its directory is damaged")
    name_length, extra_length, comment_length = struct.unpack_from("<3H", data, place + 28)
    return int(_RECORD.size + name_length + extra_length + comment_length)


def _read_zip64(extra: bytes, sizes: dict[str, int]) -> None:
    """Replace sizes too large for a record by those of its extra field, in order of `sizes`."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64:
            large = [name for name, value in sizes.items() if value == _IN_EXTRA]
            values = struct.unpack_from(f"<{min(len(large), length // 8)}Q", extra, 4)
            sizes.update(zip(large, values, strict=False))
        extra = extra[4 + length :]
