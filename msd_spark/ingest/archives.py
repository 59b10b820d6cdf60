"""Read the songs of a tar or zip, and of archives within it.

Nothing is unpacked to disk. A tar is read in one pass, plain or compressed; its first bytes show which. Several
archives in one file, one after the other, are read as one. A member's name is never used as a path.
"""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import IO, Any, Self, cast

from pyarrow import fs

from msd_spark.core.filesystems import file_pieces, open_location
from msd_spark.core.rejections import Rejection
from msd_spark.ingest.loose import failure, reason_of, song_of
from msd_spark.ingest.names import Content, Skipped, content_of, skip_reason
from msd_spark.ingest.units import SongInput
from msd_spark.io.ahead import ReadAhead
from msd_spark.io.folders import check_regular, printable
from msd_spark.io.paged import PagedFile
from msd_spark.io.unpacked import DAMAGE, START_BYTES, UnpackError, unpacker
from msd_spark.io.zip_directory import ZipError, ends_of_archives, members, read_member, slice_directory
from msd_spark.songfile.parse import LARGEST_SONG_FILE, Song

Item = Song | Rejection | Skipped

TAR_BUFFER = 1 << 16
"""Bytes that tarfile buffers; for every piece that it returns, it copies the rest of the buffer."""

LARGEST_HEADER = 1 << 20
"""Bytes of a long name or of attributes in a tar."""

MOST_NESTED = 4
"""Maximum number of archives within one another, the outermost included; some hold themselves."""

SMALLEST_BUDGET, LARGEST_RATIO = 1 << 30, 200
"""Bytes, and bytes per packed byte, that an archive within another may have when unpacked."""

SMALLEST_MEMBER = 4096
"""Bytes that a member of a zip counts at least: its rejection takes memory."""

MEMBERS_PER_SLICE = 1000
"""Members of a zip whose records are in memory."""

_IN_MEMORY = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
"""Types of headers whose content tarfile reads into memory."""

# tarfile and the records of a zip raise the errors in the second line for invalid numbers and for endless headers.
_DAMAGE = (
    *(tarfile.TarError, ZipError, *DAMAGE),
    *(ValueError, OverflowError, RecursionError, struct.error),
)


class _Budget:
    """Bytes that an archive within another may have when unpacked, with all archives in it.

    Some unpack to exabytes.
    """

    def __init__(self, packed: int, above: _Budget | None) -> None:
        self._left, self._above = SMALLEST_BUDGET + LARGEST_RATIO * packed, above

    def take(self, n_bytes: int) -> None:
        """Count bytes; raise an error if they are more than the rest."""
        self._left -= n_bytes
        if self._left < 0:
            raise UnpackError("it unpacks to too many bytes; unpack it before ingest")
        if self._above:
            self._above.take(n_bytes)


@dataclass(frozen=True)
class _Archive:
    """An archive: its file, and its member there if it lies in another archive."""

    source: str
    member: str | None = None
    depth: int = 1
    budget: _Budget | None = None

    def inner(self, member: str, size: int) -> _Archive:
        """Return a member of `size` bytes as an archive."""
        return _Archive(self.source, member, self.depth + 1, _Budget(size, self.budget))

    def take(self, n_bytes: int) -> None:
        """Count unpacked bytes of an archive within another."""
        if self.budget:
            self.budget.take(n_bytes)

    def name_of(self, member: str) -> str:
        """Return the name of a member of this archive as a member of the file."""
        return f"{self.member}/{printable(member)}" if self.member else printable(member)

    def damaged(self, error: Exception, last: str | None) -> Rejection:
        """Return the rejection of what is not read; `last` is the last member seen."""
        reason = "not_an_archive" if last is None else "truncated_archive"
        return Rejection(self.source, reason, failure(error, last), last or self.member)

    def unreadable(self, error: OSError, last: str | None) -> Rejection:
        """Return the rejection for an error of the filesystem."""
        return Rejection(self.source, reason_of(error), failure(error, last), last or self.member)


def read_tar_file(item: SongInput) -> Iterator[Item]:
    """Yield the songs of a tar, with a rejection or a skip for every other member."""
    archive = _Archive(printable(item.source))
    try:
        filesystem, path, _ = open_location(item.source)
        with ExitStack() as stack:
            raw: Any
            if isinstance(filesystem, fs.LocalFileSystem):
                check_regular(path)
                raw = open(path, "rb", buffering=0)  # noqa: SIM115  # pyarrow refuses names that are not UTF-8
            else:
                raw = ReadAhead(file_pieces(filesystem, path))
            file = stack.enter_context(io.BufferedReader(stack.enter_context(raw), TAR_BUFFER))
            yield from _read(Content.TAR, file, archive)
    except OSError as error:
        yield archive.unreadable(error, None)


def read_zip_file(item: SongInput) -> Iterator[Item]:
    """Yield the songs of a zip, with a rejection or a skip for every other member."""
    archive = _Archive(printable(item.source))
    try:
        filesystem, path, _ = open_location(item.source)
        if isinstance(filesystem, fs.LocalFileSystem):
            check_regular(path)
            file: IO[bytes] = open(path, "rb")  # noqa: SIM115  # closed below
        else:
            file = cast(IO[bytes], PagedFile(filesystem.open_input_file(path)))
        with closing(file):
            yield from _read(Content.ZIP, file, archive)
    except OSError as error:
        yield archive.unreadable(error, None)


def _read(content: Content, file: Any, archive: _Archive) -> Iterator[Item]:
    is_empty = True
    for item in _read_tar(file, archive) if content is Content.TAR else _read_zip(file, archive):
        is_empty = False
        yield item
    if is_empty:
        yield Skipped(archive.source, "empty_archive", archive.member)


def _read_tar(raw: io.BufferedReader, archive: _Archive) -> Iterator[Item]:
    member: str | None = None
    try:
        unpack = unpacker(raw.peek(START_BYTES)[:START_BYTES])
        # read1 returns the bytes before a damaged place; read would return none of them.
        content = cast(IO[bytes], _Bytes((unpack(raw) if unpack else raw).read1, archive))
        # After the zeros at the end of an archive, another may follow.
        with tarfile.open(fileobj=content, mode="r|", bufsize=TAR_BUFFER, tarinfo=_Header, ignore_zeros=True) as tar:
            for entry in tar:
                member = archive.name_of(entry.name)
                yield from _read_entry(tar, entry, archive, member)
                tar.members = []  # type: ignore[attr-defined]  # otherwise it keeps every header
    except _DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        yield archive.damaged(error, member)
    except OSError as error:
        yield archive.unreadable(error, member)


class _Bytes:
    """Bytes of a tar; an end without the closing zeros is an error, which tarfile would accept."""

    def __init__(self, read: Callable[[int], bytes], archive: _Archive) -> None:
        self._read, self._archive, self.is_closed = read, archive, False

    def read(self, size: int) -> bytes:
        data = self._read(size)
        self._archive.take(len(data))
        if not data and not self.is_closed:
            raise EOFError("the file ends without the closing zeros of an archive")
        return data


class _Header(tarfile.TarInfo):
    """Header of a member; raises an error if damaged, where tarfile would stop or continue."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        content = cast(Any, tarfile.fileobj).fileobj
        try:
            header = super().fromtarfile(tarfile)
        except _CLOSING_ZEROS:
            content.is_closed = True
            raise
        content.is_closed = False
        return header

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if 0 < len(buf) < tarfile.BLOCKSIZE and not any(buf):
            raise _CLOSING_ZEROS("zeros at the end of the file")
        try:
            header = super().frombuf(buf, encoding, errors)
        except (_CLOSING_ZEROS, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a damaged header: {error}") from None
        if header.size < 0 or (header.type in _IN_MEMORY and header.size > LARGEST_HEADER):
            raise tarfile.ReadError(f"a header declares {header.size} bytes")
        return header


_CLOSING_ZEROS: type[Exception] = tarfile.EOFHeaderError  # type: ignore[attr-defined]


def _read_entry(tar: tarfile.TarFile, entry: tarfile.TarInfo, archive: _Archive, member: str) -> Iterator[Item]:
    content = content_of(entry.name)
    if entry.isdir():
        return
    if content is Content.OTHER:
        yield Skipped(archive.source, skip_reason(entry.name), member)
    elif not entry.isreg() or (entry.issparse() and content is not Content.SONG):
        yield Rejection(archive.source, "not_a_file", "the member is a link, a device or sparse", member)
    elif content is Content.SONG:
        if entry.size > LARGEST_SONG_FILE:
            yield _too_large(archive.source, member, entry.size)
        else:
            file = tar.extractfile(entry)
            yield song_of(file.read() if file else b"", archive.source, member)
    else:
        inner = archive.inner(member, entry.size)
        yield from _read_nested(tar.extractfile(entry), entry.size, content, inner)


def _too_large(source: str, member: str, size: int) -> Rejection:
    return Rejection(source, "implausible_size", f"{size} bytes, too large for a song file", member)


def _read_nested(file: Any, size: int, content: Content, archive: _Archive) -> Iterator[Item]:
    if archive.depth > MOST_NESTED:
        yield Skipped(archive.source, "nested_too_deep", archive.member)
    elif content is Content.TAR:
        yield from _read(content, file, archive)
    elif size > LARGEST_SONG_FILE:
        detail = f"{size} bytes, too large for a zip in another archive; unpack it"
        yield Rejection(archive.source, "implausible_size", detail, archive.member)
    else:
        yield from _read(content, io.BytesIO(file.read()), archive)


def _read_zip(file: IO[bytes], archive: _Archive) -> Iterator[Item]:
    last: str | None = None
    try:
        parts = (part for end in ends_of_archives(file) for part in slice_directory(file, MEMBERS_PER_SLICE, end))
        for part in parts:
            for entry in members(file, part):
                archive.take(max(entry.size, SMALLEST_MEMBER))
                if entry.name.endswith("/"):
                    continue
                last, content = archive.name_of(entry.name), content_of(entry.name)
                if content is Content.OTHER:
                    yield Skipped(archive.source, skip_reason(entry.name), last)
                    continue
                if entry.size > LARGEST_SONG_FILE:
                    yield _too_large(archive.source, last, entry.size)
                    continue
                try:
                    image = read_member(file, entry, LARGEST_SONG_FILE)
                except ZipError as error:
                    yield Rejection(archive.source, "damaged_member", failure(error), last)
                    continue
                if content is Content.SONG:
                    yield song_of(image, archive.source, last)
                else:
                    inner = archive.inner(last, entry.size)
                    yield from _read_nested(io.BufferedReader(io.BytesIO(image)), entry.size, content, inner)
    except _DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        yield archive.damaged(error, last)
    except OSError as error:
        yield archive.unreadable(error, last)
