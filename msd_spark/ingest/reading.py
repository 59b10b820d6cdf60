"""Read a unit's songs: loose files, the members of a tar, the rows of an aggregate."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import IO, Self, cast

from isal import igzip, isal_zlib

from msd_spark.core.filesystems import is_local, open_location
from msd_spark.core.rejections import Rejection
from msd_spark.core.track_ids import SONG_FILE_SUFFIX, track_id_of
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.io.paged import PagedFile, open_seekable
from msd_spark.songfile.aggregate import read_songs
from msd_spark.songfile.parse import Song, SongFileError, parse_song

LARGEST_SONG_FILE = 64 << 20
"""Bytes; the dataset's largest song file has about 2 MiB."""

GETS_AT_ONCE = 16
"""Requests that a task has under way where files are remote."""

FILES_AHEAD = 8
"""Files on a disk that the kernel is asked for before their turn."""

PASSING = frozenset({"not_found", "denied", "cannot_be_read"})
"""Reasons that may be gone the next time: a unit with one of these is read again by the next ingest."""

TAR_BUFFER = 1 << 16
"""Bytes that tarfile holds; for every piece that it gives it copies what is left of them."""

LARGEST_HEADER = 1 << 20
"""Bytes of a long name or of attributes in a tar."""

_HELD_IN_MEMORY = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
"""Types of headers whose content tarfile reads as one."""

_DAMAGE = (tarfile.TarError, gzip.BadGzipFile, EOFError, isal_zlib.error)
"""What a tar raises that will not be better the next time."""


def read_unit(unit: Unit) -> Iterator[Song | Rejection]:
    """Give every song of a unit, with its ``source`` and ``member``, or why an input is none."""
    if unit.kind is Kind.FILES:
        yield from _read_files(unit.inputs)
    elif unit.kind is Kind.TAR:
        yield from _read_tar(unit.inputs[0])
    elif unit.kind is Kind.AGGREGATE:
        yield from _read_aggregate(unit.inputs[0], unit.start, unit.stop)
    else:
        detail = "a summary file has no segments; --summaries rows takes its songs without"
        yield Rejection(printable(unit.inputs[0].source), "summary_file", detail)


def printable(name: str) -> str:
    """Return a file's name as text that any table can hold; bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _song(content: bytes, source: str, member: str | None = None) -> Song | Rejection:
    try:
        song = parse_song(content, track_id_of(member or source))
    except SongFileError as error:
        return Rejection(printable(source), error.reason, error.detail, member)
    return song | {"source": printable(source), "member": member}


def _read_files(inputs: Iterable[SongInput]) -> Iterator[Song | Rejection]:
    listed = list(inputs)
    remote = not all(is_local(item.source) for item in listed)
    for item, content in _in_order(listed) if remote else _in_order_on_disk(listed):
        yield content if isinstance(content, Rejection) else _song(content, item.source)


def _in_order(inputs: Iterable[SongInput]) -> Iterator[tuple[SongInput, bytes | Rejection]]:
    """Give the files' contents in order, with many requests under way and few contents in memory."""
    remaining = iter(inputs)
    with ThreadPoolExecutor(GETS_AT_ONCE) as pool:
        waiting: deque[tuple[SongInput, Future[bytes | Rejection]]] = deque()
        for item in islice(remaining, 2 * GETS_AT_ONCE):
            waiting.append((item, pool.submit(_content, item)))
        while waiting:
            item, future = waiting.popleft()
            content = future.result()
            for following in islice(remaining, 1):
                waiting.append((following, pool.submit(_content, following)))
            yield item, content


def _in_order_on_disk(inputs: Sequence[SongInput]) -> Iterator[tuple[SongInput, bytes | Rejection]]:
    """Give the files' contents in order; the kernel fetches the next ones while one is parsed."""
    for number, item in enumerate(inputs):
        for following in inputs[number + FILES_AHEAD : number + FILES_AHEAD + 1]:
            _fetch_ahead(following.source.removeprefix("file://"))
        yield item, _content(item)


def _fetch_ahead(path: str) -> None:
    with suppress(OSError):  # said when it is the file's turn
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)


def _content(item: SongInput) -> bytes | Rejection:
    """Return a file's bytes, or why they cannot be had."""
    if item.size > LARGEST_SONG_FILE:
        return Rejection(printable(item.source), "implausible_size", f"{item.size} bytes are no song file")
    try:
        if is_local(item.source):
            with open(item.source.removeprefix("file://"), "rb") as file:
                return file.read(LARGEST_SONG_FILE)
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
    """A tar's bytes, whose end is an error: tarfile takes a missing end for a good one, or seeks on behind it."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def read(self, size: int) -> bytes:
        """Return some bytes, `size` at most."""
        data = self._read(size)
        if not data:
            raise EOFError("the file ends, without the archive's closing zeros")
        return data


class _Header(tarfile.TarInfo):
    """A member's header; a damaged one is an error, where tarfile takes it for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the header in a block of the archive."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the closing zeros
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a damaged header: {error}") from None
        if header.size < 0 or (header.type in _HELD_IN_MEMORY and header.size > LARGEST_HEADER):
            raise tarfile.ReadError(f"a header says that {header.size} bytes are behind it")
        return header


def _read_tar(item: SongInput) -> Iterator[Song | Rejection]:
    """Give the songs of a tar in one pass; nothing is unpacked, and a member's name is only a label."""
    source = printable(item.source)
    member: str | None = None
    try:
        filesystem, path, _ = open_location(item.source)
        with filesystem.open_input_stream(path, compression=None) as raw:
            # read1 gives what there is before a damaged place; read would give nothing.
            read = raw.read if item.source.endswith(".tar") else igzip.open(raw).read1
            stream = _Bytes(read)
            with tarfile.open(
                fileobj=cast(IO[bytes], stream), mode="r|", bufsize=TAR_BUFFER, tarinfo=_Header
            ) as archive:
                for entry in archive:
                    member = printable(entry.name)
                    yield from _read_member(archive, entry, source, member)
                    archive.members = []  # type: ignore[attr-defined]  # it would remember every member it has passed
            while not item.source.endswith(".tar") and read(TAR_BUFFER):
                pass  # gzip's checksum stands behind the end of the archive
    except _DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        reason = "not_an_archive" if member is None else "truncated_archive"
        yield Rejection(source, reason, _detail(error, member), member)
    except OSError as error:
        yield Rejection(source, _reason(error), _detail(error, member), member)


def _detail(error: Exception, member: str | None) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if member is None else f"in or behind {member}: {text}"


def _read_member(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, source: str, member: str
) -> Iterator[Song | Rejection]:
    if entry.isdir() or not entry.name.endswith(SONG_FILE_SUFFIX):
        return
    if not entry.isreg():
        yield Rejection(source, "not_a_file", "the member is a link or a device", member)
    elif entry.size > LARGEST_SONG_FILE:
        yield Rejection(source, "implausible_size", f"{entry.size} bytes are no song file", member)
    else:
        file = archive.extractfile(entry)
        yield _song(file.read() if file else b"", source, member)


def _read_aggregate(item: SongInput, start: int, stop: int) -> Iterator[Song | Rejection]:
    source = printable(item.source)
    try:
        filesystem, path, _ = open_location(item.source)
        opened = open_seekable(filesystem, path)
    except OSError as error:
        yield from (Rejection(source, _reason(error), _detail(error, None), _row(row)) for row in range(start, stop))
        return
    with opened as file:
        for row, song in read_songs(cast(IO[bytes], file), start, stop):
            if isinstance(song, SongFileError) and isinstance(file, PagedFile) and file.failure:
                yield Rejection(source, _reason(file.failure), _detail(file.failure, None), _row(row))
            elif isinstance(song, SongFileError):
                yield Rejection(source, song.reason, song.detail, _row(row))
            else:
                yield song | {"source": source, "member": _row(row)}


def _row(number: int) -> str:
    return f"row {number}"
