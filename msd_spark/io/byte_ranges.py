"""Cut a long text file into ranges of bytes that are read at the same time; each line is in exactly one of them.

A line belongs to the range in which its first byte lies, and lines end at a line feed and nowhere else.
A compressed file (.zip with one file in it, .gz) cannot be cut: it is one range, streamed.
"""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, cast

import pyarrow as pa
from isal import igzip, isal_zlib
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.io.paged import open_seekable

RANGE_BYTES = 32 << 20
BLOCK_BYTES = 4 << 20
"""Bytes that are read, and parsed, at a time."""

LONGEST_LINE = 1 << 10
"""Bytes of a line that are kept: what is longer is no line of these files, and stays longer than any."""

TAIL_BYTES = 1 << 16
"""Bytes that are read at a time where only a line's end is looked for."""

COMPRESSED = (".zip", ".gz")
_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, NotImplementedError, isal_zlib.error)


@dataclass(frozen=True)
class ByteRange:
    """A part of a file.

    Attributes
    ----------
    location : str
    number : int
        Place among the file's ranges, from 0.
    start, stop : int
        Bytes; a compressed file's only range has `stop` -1, its end.
    """

    location: str
    number: int
    start: int
    stop: int


@dataclass(frozen=True)
class Lines:
    """Whole lines that stand beside each other in a file.

    Attributes
    ----------
    content : bytes
        With a line feed at each line's end.
    first : int
        Number of the first line among those of the range, from 0.
    ended : bool
        Whether the last line's line feed was there; it was put there for the last line of a file that has none.
    """

    content: bytes
    first: int
    ended: bool


def cut_into_ranges(location: str, range_bytes: int = RANGE_BYTES) -> list[ByteRange]:
    """Return the ranges of a file, in order; none for an empty file.

    Raises
    ------
    UserError
        When the file is not there, or is an archive that does not hold one file.
    """
    filesystem, path, _ = open_location(location)
    info = filesystem.get_file_info(path)
    if info.type != fs.FileType.File:
        raise UserError(f"no file {location}")
    if location.endswith(COMPRESSED):
        next(_compressed(location, 1), None)  # what is no archive is refused here and now
        return [ByteRange(location, 0, 0, -1)]
    starts = range(0, info.size, range_bytes)
    return [
        ByteRange(location, number, start, min(start + range_bytes, info.size)) for number, start in enumerate(starts)
    ]


def read_lines_of(part: ByteRange, block_bytes: int = BLOCK_BYTES) -> Iterator[Lines]:
    """Give the lines that begin in a range, a block at a time.

    Raises
    ------
    UserError
        When the file cannot be read: a compressed one that is damaged, or holds anything but one file.
    """
    blocks = _compressed(part.location, block_bytes) if part.stop < 0 else _blocks(part, block_bytes)
    first, rest = 0, b""
    for block in blocks:
        data = rest + block
        cut = data.rfind(b"\n") + 1
        if cut:
            yield Lines(data[:cut], first, ended=True)
            first += data.count(b"\n", 0, cut)
        # A line that goes on and on is cut here again and again, and stays too long all the same.
        rest = data[cut : cut + LONGEST_LINE]
    if rest:
        yield Lines(rest + b"\n", first, ended=False)


def _blocks(part: ByteRange, block_bytes: int) -> Iterator[bytes]:
    """Give the bytes of the lines that begin in a range: from the first such line to the end of the last one."""
    filesystem, path, _ = open_location(part.location)
    with filesystem.open_input_file(path) as file:
        at = _first_line(file, part, block_bytes) if part.start else 0
        last = b"\n"
        while at < part.stop:
            block = file.read_at(min(block_bytes, part.stop - at), at)
            if not block:
                raise UserError(f"{part.location} became shorter while it was read; run the job again")
            at += len(block)
            last = block[-1:]
            yield block
        # The last line may end in the next range, or in a later one.
        while last != b"\n" and (block := file.read_at(TAIL_BYTES, at)):
            at += len(block)
            block = block[: block.find(b"\n") + 1] or block
            last = block[-1:]
            yield block


def _first_line(file: pa.NativeFile, part: ByteRange, block_bytes: int) -> int:
    """Return where the first line begins that begins in a range; the range's end if none does."""
    # A line begins behind a line feed, which may be the last byte before the range.
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


def _compressed(location: str, block_bytes: int) -> Iterator[bytes]:
    """Give the bytes of a compressed file."""
    try:
        with _inflated(location) as stream:
            while block := stream.read(block_bytes):
                yield block
    except _DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        raise UserError(f"{location} is damaged: {' '.join(str(error).split())}; fetch it again") from None


@contextmanager
def _inflated(location: str) -> Iterator[IO[bytes]]:
    filesystem, path, _ = open_location(location)
    with ExitStack() as stack:
        if location.endswith(".gz"):
            raw = stack.enter_context(filesystem.open_input_stream(path, compression=None))
            yield stack.enter_context(cast(IO[bytes], igzip.open(raw)))
            return
        file = stack.enter_context(open_seekable(filesystem, path))
        archive = stack.enter_context(zipfile.ZipFile(cast(IO[bytes], file)))
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if len(names) != 1:
            raise UserError(f"{location} holds {len(names)} files, not one; unpack it and give the file")
        yield stack.enter_context(archive.open(names[0]))
