"""Read a unit's songs: loose files, the members of a tar, the rows of an aggregate."""

from __future__ import annotations

import tarfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import IO, cast

from isal import igzip
from pyarrow import fs

from msd_spark.ingest.settings import STAGE
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.locations import is_local, open_location
from msd_spark.rejections import Rejection
from msd_spark.songfile.aggregate import read_songs
from msd_spark.songfile.parse import Song, SongFileError, parse_song
from msd_spark.track_ids import SONG_FILE_SUFFIX, track_id_of

LARGEST_SONG_FILE = 64 << 20
"""Bytes; the dataset's largest song file has about 2 MiB."""

GETS_AT_ONCE = 16
"""Requests that a task has under way where files are remote."""

PASSING = frozenset({"not_found", "denied", "cannot_be_read"})
"""Reasons that may be gone the next time: a unit with one of these is read again by the next ingest."""

_READ_ERRORS = (OSError, EOFError, zlib.error)


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
    for item, content in _in_order(listed) if remote else ((item, _content(item)) for item in listed):
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


def _content(item: SongInput) -> bytes | Rejection:
    """Return a file's bytes, or why they cannot be had."""
    if item.size > LARGEST_SONG_FILE:
        return Rejection(printable(item.source), "implausible_size", f"{item.size} bytes are no song file")
    try:
        if is_local(item.source):
            with open(item.source.removeprefix("file://"), "rb") as file:
                return file.read(LARGEST_SONG_FILE)
        filesystem, path, _ = open_location(STAGE, item.source)
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


class _Counted:
    """A stream that counts what is read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.n_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read like the stream itself."""
        data = self.stream.read(size)
        self.n_bytes += len(data)
        return data


def _read_tar(item: SongInput) -> Iterator[Song | Rejection]:
    """Give the songs of a tar in one pass; nothing is unpacked, and a member's name is only a label."""
    filesystem, path, _ = open_location(STAGE, item.source)
    source = printable(item.source)
    member: str | None = None
    try:
        with filesystem.open_input_stream(path, compression=None) as raw:
            packed = not item.source.endswith(".tar")
            stream = _Counted(cast(IO[bytes], igzip.open(raw) if packed else raw))
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|", bufsize=1 << 20) as archive:
                for entry in archive:
                    member = printable(entry.name)
                    yield from _read_member(archive, entry, source, member)
                    archive.members = []  # type: ignore[attr-defined]  # it would remember every member it has passed
                # tarfile takes the end of the file for the end of the archive, which is a block of zeros.
                is_closed = stream.n_bytes >= archive.offset + tarfile.BLOCKSIZE
            if not is_closed:
                yield Rejection(
                    source, "truncated_archive", f"the archive ends behind {member}, without its closing zeros"
                )
    except tarfile.TarError as error:
        yield Rejection(source, "truncated_archive", f"behind {member}: {' '.join(str(error).split())}")
    except _READ_ERRORS as error:
        reason = _reason(error) if member is None else "truncated_archive"
        yield Rejection(source, reason, f"behind {member}: {' '.join(str(error).split())}")


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
        filesystem, path, _ = open_location(STAGE, item.source)
        file = path if isinstance(filesystem, fs.LocalFileSystem) else filesystem.open_input_file(path)
    except OSError as error:
        yield from (Rejection(source, _reason(error), str(error), _row(row)) for row in range(start, stop))
        return
    for row, song in read_songs(file, start, stop):
        if isinstance(song, SongFileError):
            yield Rejection(source, song.reason, song.detail, _row(row))
        else:
            yield song | {"source": source, "member": _row(row)}


def _row(number: int) -> str:
    return f"row {number}"
