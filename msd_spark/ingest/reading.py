"""Read the songs of a unit: loose files, members of a tar, or rows of an aggregate file."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Self, cast

from isal import igzip, isal_zlib

from msd_spark.core.filesystems import file_pieces, is_local, local_path, open_location
from msd_spark.core.rejections import Rejection
from msd_spark.core.track_ids import SONG_FILE_SUFFIX, track_id_of
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.io.ahead import ReadAhead
from msd_spark.io.folders import READS_AT_ONCE, in_order, printable
from msd_spark.io.paged import PagedFile, open_seekable
from msd_spark.songfile.aggregate import read_songs
from msd_spark.songfile.parse import LARGEST_SONG_FILE, Song, SongFileError, parse_song

LOCAL_READS_AT_ONCE = 4
"""Local files read in parallel while songs are parsed."""

TEMPORARY = frozenset({"not_found", "denied", "cannot_be_read"})
"""Reasons that may not apply next time: the next ingest reads a unit with one of these again."""

TAR_BUFFER = 1 << 16
"""Bytes that tarfile buffers; for every piece that it returns, it copies the rest of the buffer."""

LARGEST_HEADER = 1 << 20
"""Bytes of a long name or of attributes in a tar."""

_IN_MEMORY = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
"""Types of headers whose content tarfile reads into memory."""

_DAMAGE = (tarfile.TarError, gzip.BadGzipFile, EOFError, isal_zlib.error)
"""Permanent errors of a tar."""


def read_unit(unit: Unit) -> Iterator[Song | Rejection]:
    """Yield the songs of a unit, with ``source`` and ``member``, and its rejections."""
    if unit.kind is Kind.FILES:
        yield from _read_files(unit.inputs)
    elif unit.kind is Kind.TAR:
        yield from _read_tar(unit.inputs[0])
    elif unit.kind is Kind.AGGREGATE:
        yield from _read_aggregate(unit.inputs[0], unit.start, unit.stop)
    else:
        detail = "a summary file has no segments; --summaries rows reads its songs without them"
        yield Rejection(printable(unit.inputs[0].source), "summary_file", detail)


def _song(content: bytes, source: str, member: str | None = None) -> Song | Rejection:
    try:
        song = parse_song(content, track_id_of(member or source))
    except SongFileError as error:
        return Rejection(printable(source), error.reason, error.detail, member)
    return song | {"source": printable(source), "member": member}


def _read_files(inputs: list[SongInput]) -> Iterator[Song | Rejection]:
    at_once = LOCAL_READS_AT_ONCE if all(is_local(item.source) for item in inputs) else READS_AT_ONCE
    for item, content in in_order(_content, inputs, at_once):
        yield content if isinstance(content, Rejection) else _song(content, item.source)


def _content(item: SongInput) -> bytes | Rejection:
    if item.size > LARGEST_SONG_FILE:
        return Rejection(printable(item.source), "implausible_size", f"{item.size} bytes, too large for a song file")
    try:
        if is_local(item.source):
            with open(local_path(item.source), "rb") as file:
                # `read` allocates all the bytes that it is asked for: ask for little more than the file has.
                size = os.fstat(file.fileno()).st_size  # 0 if it is not known
                return file.read(min(size + 1, LARGEST_SONG_FILE) if size else LARGEST_SONG_FILE)
        filesystem, path, _ = open_location(item.source)
        with filesystem.open_input_stream(path) as stream:
            return bytes(stream.read(LARGEST_SONG_FILE))
    except OSError as error:
        return Rejection(printable(item.source), _reason(error), " ".join(str(error).split()))


def _reason(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, FileNotFoundError) or "does not exist" in text:
        return "not_found"
    if isinstance(error, PermissionError) or "ACCESS_DENIED" in text or "Forbidden" in text:
        return "denied"
    return "cannot_be_read"


class _Bytes:
    """The bytes of a tar; their end is an error, because tarfile accepts a missing end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def read(self, size: int) -> bytes:
        data = self._read(size)
        if not data:
            raise EOFError("the file ends without the closing zeros of an archive")
        return data


class _Header(tarfile.TarInfo):
    """Header of a member; a damaged one raises an error, where tarfile would end the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the closing zeros
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a damaged header: {error}") from None
        if header.size < 0 or (header.type in _IN_MEMORY and header.size > LARGEST_HEADER):
            raise tarfile.ReadError(f"a header declares {header.size} bytes")
        return header


def _read_tar(item: SongInput) -> Iterator[Song | Rejection]:
    """Yield the songs of a tar in one pass; a member's name is never used as a path."""
    source = printable(item.source)
    is_compressed = not item.source.endswith(".tar")
    member: str | None = None
    try:
        filesystem, path, _ = open_location(item.source)
        with ExitStack() as stack:
            if is_local(item.source):
                raw = stack.enter_context(filesystem.open_input_stream(path, compression=None))
            else:
                raw = stack.enter_context(ReadAhead(file_pieces(filesystem, path)))
            # read1 returns the bytes before a damaged place; read would return none of them.
            read = igzip.open(raw).read1 if is_compressed else raw.read
            source_bytes = cast(IO[bytes], _Bytes(read))
            with tarfile.open(fileobj=source_bytes, mode="r|", bufsize=TAR_BUFFER, tarinfo=_Header) as archive:
                for entry in archive:
                    member = printable(entry.name)
                    yield from _read_member(archive, entry, source, member)
                    archive.members = []  # type: ignore[attr-defined]  # otherwise it keeps every header
            while is_compressed and read(TAR_BUFFER):
                pass  # the checksum of gzip follows the end of the archive
    except _DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        reason = "not_an_archive" if member is None else "truncated_archive"
        yield Rejection(source, reason, _detail(error, member), member)
    except OSError as error:
        yield Rejection(source, _reason(error), _detail(error, member), member)


def _detail(error: Exception, member: str | None = None) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if member is None else f"in or after {member}: {text}"


def _read_member(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, source: str, member: str
) -> Iterator[Song | Rejection]:
    if entry.isdir() or not entry.name.endswith(SONG_FILE_SUFFIX):
        return
    if not entry.isreg():
        yield Rejection(source, "not_a_file", "the member is a link or a device", member)
    elif entry.size > LARGEST_SONG_FILE:
        yield Rejection(source, "implausible_size", f"{entry.size} bytes, too large for a song file", member)
    else:
        file = archive.extractfile(entry)
        yield _song(file.read() if file else b"", source, member)


def _read_aggregate(item: SongInput, start: int, stop: int) -> Iterator[Song | Rejection]:
    source = printable(item.source)
    try:
        filesystem, path, _ = open_location(item.source)
        opened = open_seekable(filesystem, path)
    except OSError as error:
        yield from (Rejection(source, _reason(error), _detail(error), _row(row)) for row in range(start, stop))
        return
    with opened as file:
        for row, song in read_songs(cast(IO[bytes], file), start, stop):
            if isinstance(song, SongFileError) and isinstance(file, PagedFile) and file.failure:
                yield Rejection(source, _reason(file.failure), _detail(file.failure), _row(row))
            elif isinstance(song, SongFileError):
                yield Rejection(source, song.reason, song.detail, _row(row))
            else:
                yield song | {"source": source, "member": _row(row)}


def _row(number: int) -> str:
    return f"row {number}"
