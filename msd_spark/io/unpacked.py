"""Open a local or remote file that may be compressed: gzip, bzip2, xz, or one file of a zip."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import IO, Any, cast

import pyarrow as pa
from isal import igzip, isal_zlib

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location, require_file
from msd_spark.io.folders import is_system_file
from msd_spark.io.zip_directory import ZipError, ends_of_archives

GZIP, ZIP, BZIP2, XZ = b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\0"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LARGEST_DICTIONARY = 256 << 20
"""Bytes of memory to read xz; ``xz -9`` needs 65 MiB, and a few bytes can declare 4 GiB."""

START_BYTES = 6
"""Number of first bytes that show how a file is compressed."""

_ENCRYPTED = 1
_HEADER_BYTES = 512
"""Bytes searched for null bytes: the length of the header of a tar, which has some; that of a zip is shorter."""
_BUFFER = 1 << 20


class UnpackError(ValueError):
    """Compressed content that is damaged, or needs too much memory or too many bytes."""


DAMAGE = (
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not know
    UnpackError,
    gzip.BadGzipFile,
    isal_zlib.error,
    pa.ArrowInvalid,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors of reading damaged content."""


class _Streams(io.RawIOBase):
    """The content of one bzip2 or xz stream or more; `new` returns a decompressor of one stream.

    The readers of `bz2` and `lzma` ignore bytes after the last stream, do not limit the memory of xz, and raise the
    same error for a damaged bzip2 stream as for a file that cannot be read.
    """

    def __init__(self, raw: io.BufferedIOBase, new: Callable[[], Any]) -> None:
        self._raw, self._new, self._stream = raw, new, new()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = b""
        while not content:
            packed = b""
            if self._stream.eof:
                # Streams of xz may have null bytes between them.
                packed = self._stream.unused_data.lstrip(b"\0")
                while not packed and (more := self._raw.read1(_BUFFER)):
                    packed = more.lstrip(b"\0")
                if not packed:
                    return 0
                self._stream = self._new()
            elif self._stream.needs_input:
                packed = self._raw.read1(_BUFFER)
                if not packed:
                    raise EOFError("the compressed content is cut off")
            try:
                content = self._stream.decompress(packed, len(buffer))
            except (OSError, lzma.LZMAError) as error:
                raise UnpackError(str(error)) from None
        buffer[: len(content)] = content
        return len(content)


def _streams(new: Callable[[], Any], raw: io.BufferedIOBase) -> io.BufferedReader:
    return io.BufferedReader(_Streams(raw, new))


_UNPACKERS: dict[bytes, Callable[[Any], Any]] = {
    GZIP: igzip.open,
    BZIP2: partial(_streams, bz2.BZ2Decompressor),
    XZ: partial(_streams, partial(lzma.LZMADecompressor, memlimit=LARGEST_DICTIONARY)),
}


def unpacker(start: bytes) -> Callable[[Any], Any] | None:
    """Return the opener of compressed content by its first bytes; None if not compressed.

    Several streams after another are read as one.
    """
    return next((_UNPACKERS[mark] for mark in _UNPACKERS if start.startswith(mark)), None)


def is_compressed(start: bytes) -> bool:
    """Return whether a file is compressed, or a zip, by its first bytes."""
    return unpacker(start) is not None or start.startswith(ZIP)


@contextmanager
def open_unpacked(location: str, member_ending: str = "", *, binary: bool = False) -> Iterator[IO[bytes]]:
    """Open a file; its compression is recognised by its first bytes, not by its name.

    A byte order mark at the start of the content is skipped. Content with null bytes at its start is refused: it is an
    archive or UTF-16.

    Errors of reading within the ``with`` block become a `UserError` too.

    Parameters
    ----------
    member_ending : str
        Of a zip with several files, the one whose name ends with this is read.
    binary : bool
        Whether null bytes are allowed.
    """
    filesystem, path, _ = open_location(location)
    try:
        require_file(filesystem, path, location)
        with ExitStack() as stack:
            opened = stack.enter_context(filesystem.open_input_file(path))
            start = opened.read(START_BYTES)
            opened.seek(0)
            raw: IO[bytes] = stack.enter_context(io.BufferedReader(opened, _BUFFER))
            if unpack := unpacker(start):
                raw = stack.enter_context(unpack(raw))
            elif start.startswith(ZIP):
                _check_one_archive(location, raw)
                archive = stack.enter_context(zipfile.ZipFile(raw))
                raw = stack.enter_context(archive.open(_member(location, archive, member_ending)))
            start = cast(io.BufferedReader, raw).peek(_HEADER_BYTES)[:_HEADER_BYTES]
            if b"\0" in start and not binary:
                raise UserError(
                    f"{location} is not a text file: it has null bytes, as archives and UTF-16 have; unpack it or save "
                    "it as UTF-8, and name the text file"
                )
            if start.startswith(BYTE_ORDER_MARK):
                raw.read(len(BYTE_ORDER_MARK))
            yield raw
    except DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        raise UserError(f"{location} is damaged: {' '.join(str(error).split())}; fetch it again") from None
    except OSError as error:
        raise UserError(f"{location} cannot be read: {' '.join(str(error).split())}") from None


def _check_one_archive(location: str, file: IO[bytes]) -> None:
    """Raise a `UserError` if a file has several zips, one after the other.

    ``zipfile`` would read the last only.
    """
    with suppress(ZipError):  # zipfile names the damage
        if len(list(ends_of_archives(file))) > 1:
            raise UserError(f"{location} holds several zip archives, one after the other; unpack it and name the file")


def _member(location: str, archive: zipfile.ZipFile, ending: str) -> zipfile.ZipInfo:
    # Programs for Windows write backslashes.
    names_of = {info: info.filename.replace("\\", "/") for info in archive.infolist()}
    files = [info for info, name in names_of.items() if not name.endswith("/") and not is_system_file(name)]
    candidates = files if len(files) == 1 else [info for info in files if ending and info.filename.endswith(ending)]
    if len(candidates) != 1:
        names = ", ".join(sorted(info.filename for info in files)[:6])
        raise UserError(f"{location} holds {len(files)} files ({names}), not one; unpack it and name the file")
    if candidates[0].flag_bits & _ENCRYPTED:
        raise UserError(f"{location} is encrypted; unpack it and name the file")
    return candidates[0]
