"""Split a long text file into byte ranges; each line is in exactly one range.

A line belongs to the range that contains its first byte, and only a line feed ends a line. A compressed file (zip with
one file in it, gzip, bzip2 or xz, whatever its name) cannot be split: it is one range, read as a stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location, require_file
from msd_spark.io.unpacked import BYTE_ORDER_MARK, START_BYTES, is_compressed, open_unpacked

RANGE_BYTES = 32 << 20
BLOCK_BYTES = 4 << 20
"""Bytes read and parsed at a time."""

LONGEST_LINE = 1 << 10
"""Longer lines are truncated to this many bytes; they remain too long to be valid."""

TAIL_BYTES = 1 << 16
"""Bytes read at a time while searching for the end of a line."""


@dataclass(frozen=True)
class ByteRange:
    """A part of a file; `number` is its index among the file's ranges, from 0.

    `start` and `stop` are in bytes; the range of a compressed file has `stop` -1.
    """

    location: str
    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Lines:
    """Consecutive complete lines of a file.

    Attributes
    ----------
    content : bytes
        Every line ends with a line feed.
    first : int
        Number of the first line in its range, from 0.
    ended : bool
        Whether the last line has its line feed in the file; if not, it was added.
    """

    content: bytes
    first: int
    ended: bool


def cut_into_ranges(location: str, range_bytes: int = RANGE_BYTES) -> list[ByteRange]:
    """Return the ranges of a file, in order; none for an empty file."""
    filesystem, path, _ = open_location(location)
    info = require_file(filesystem, path, location)
    next(_unpacked(location, 1), None)  # refuse a damaged archive, or a file that is not text, before any work
    with filesystem.open_input_file(path) as file:
        if is_compressed(file.read(START_BYTES)):
            return [ByteRange(location, 0, 0, -1)]
    starts = range(0, info.size, range_bytes)
    return [
        ByteRange(location, number, start, min(start + range_bytes, info.size)) for number, start in enumerate(starts)
    ]


def read_lines_of(part: ByteRange, block_bytes: int = BLOCK_BYTES) -> Iterator[Lines]:
    """Yield the lines that begin in a range, one block at a time."""
    blocks = _unpacked(part.location, block_bytes) if part.stop < 0 else _blocks(part, block_bytes)
    first, rest = 0, b""
    for block in blocks:
        data = rest + block
        cut = data.rfind(b"\n") + 1
        if cut:
            yield Lines(data[:cut], first, ended=True)
            first += data.count(b"\n", 0, cut)
        # A line that spans many blocks is truncated again at each block, and remains too long.
        rest = data[cut : cut + LONGEST_LINE]
    if rest:
        yield Lines(rest + b"\n", first, ended=False)


def _blocks(part: ByteRange, block_bytes: int) -> Iterator[bytes]:
    """Yield the bytes from the first line that begins in a range to the end of the last one."""
    filesystem, path, _ = open_location(part.location)
    with filesystem.open_input_file(path) as file:
        at = _first_line(file, part, block_bytes) if part.start else 0
        last = b"\n"
        while at < part.stop:
            block = file.read_at(min(block_bytes, part.stop - at), at)
            if not block:
                raise UserError(f"{part.location} became shorter while it was read; run the job again")
            last = block[-1:]
            yield block if at else block.removeprefix(BYTE_ORDER_MARK)
            at += len(block)
        # The last line may end in the next range, or in a later one.
        while last != b"\n" and (block := file.read_at(TAIL_BYTES, at)):
            at += len(block)
            block = block[: block.find(b"\n") + 1] or block
            last = block[-1:]
            yield block


def _first_line(file: pa.NativeFile, part: ByteRange, block_bytes: int) -> int:
    """Return the position of the first line that begins in a range, or else the range's end."""
    # A line begins after a line feed, which may be the last byte before the range.
    at = part.start - 1
    while at < part.stop - 1:
        block = file.read_at(min(block_bytes, TAIL_BYTES, part.stop - 1 - at), at)
        cut = block.find(b"\n") + 1
        if cut:
            return at + cut
        if not block:
            break
        at += len(block)
    return part.stop


def _unpacked(location: str, block_bytes: int) -> Iterator[bytes]:
    """Yield the content of a compressed file."""
    with open_unpacked(location) as stream:
        while block := stream.read(block_bytes):
            yield block
