"""Read song files that are not in an archive, and parse the bytes of any song."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import partial

from msd_spark.core.filesystems import is_local, local_path, open_location
from msd_spark.core.rejections import Rejection
from msd_spark.core.track_ids import track_id_of
from msd_spark.ingest.units import SongInput
from msd_spark.io.folders import READS_AT_ONCE, NotAFileError, check_regular, in_order, printable
from msd_spark.io.unpacked import DAMAGE, START_BYTES, unpacker
from msd_spark.songfile.parse import LARGEST_SONG_FILE, Song, SongFileError, parse_song

LOCAL_READS_AT_ONCE = 4
"""Local files read in parallel while songs are parsed."""

TEMPORARY = frozenset({"not_found", "denied", "cannot_be_read"})
"""Reasons that may not apply next time: the next ingest reads a unit with one of these again."""

_PIECE = 1 << 20


def song_of(content: bytes, source: str, member: str | None = None) -> Song | Rejection:
    """Return the song in a file or member, with ``source`` and ``member``.

    It may be compressed.
    """
    image = content
    try:
        image = _unpacked(content)
        song = parse_song(image, track_id_of(member or source))
    except SongFileError as error:
        is_packed = error.reason == "not_one_song" and (member is not None or image is not content)
        detail = f"{error.detail}; unpack an aggregate file to read it" if is_packed else error.detail
        return Rejection(printable(source), error.reason, detail, member)
    return song | {"source": printable(source), "member": member}


def _unpacked(content: bytes) -> bytes:
    unpack = unpacker(content[:START_BYTES])
    if unpack is None:
        return content
    pieces: list[bytes] = []
    try:
        with unpack(io.BytesIO(content)) as stream:
            for piece in iter(partial(stream.read1, _PIECE), b""):
                pieces.append(piece)
                if sum(map(len, pieces)) > LARGEST_SONG_FILE:
                    raise SongFileError("implausible_size", f"more than {LARGEST_SONG_FILE} bytes when decompressed")
    except DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        raise SongFileError("cannot_be_decompressed", failure(error)) from None
    return b"".join(pieces)


def read_files(inputs: list[SongInput]) -> Iterator[Song | Rejection]:
    """Yield the song of each file, or its rejection."""
    at_once = LOCAL_READS_AT_ONCE if all(is_local(item.source) for item in inputs) else READS_AT_ONCE
    for item, content in in_order(_content, inputs, at_once):
        yield content if isinstance(content, Rejection) else song_of(content, item.source)


def _content(item: SongInput) -> bytes | Rejection:
    if item.size > LARGEST_SONG_FILE:
        return Rejection(printable(item.source), "implausible_size", f"{item.size} bytes, too large for a song file")
    try:
        if is_local(item.source):
            path = local_path(item.source)
            check_regular(path)
            with open(path, "rb") as file:
                # `read` allocates all the bytes that it is asked for: ask for little more than the file has.
                size = os.fstat(file.fileno()).st_size  # 0 if it is not known
                return file.read(min(size + 1, LARGEST_SONG_FILE) if size else LARGEST_SONG_FILE)
        filesystem, path, _ = open_location(item.source)
        with filesystem.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read(LARGEST_SONG_FILE))
    except OSError as error:
        return Rejection(printable(item.source), reason_of(error), failure(error))


def reason_of(error: BaseException) -> str:
    """Return the reason code of an error of a filesystem."""
    text = str(error)
    if isinstance(error, NotAFileError):
        return "not_a_file"
    if isinstance(error, FileNotFoundError) or "does not exist" in text:
        return "not_found"
    if isinstance(error, PermissionError) or "ACCESS_DENIED" in text or "Forbidden" in text:
        return "denied"
    return "cannot_be_read"


def failure(error: Exception, member: str | None = None) -> str:
    """Return the text of an error as one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if member is None else f"in or after {member}: {text}"
