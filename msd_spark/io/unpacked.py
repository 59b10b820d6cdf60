"""Open a local or remote file that may be compressed: gzip, bzip2, xz, or one file of a zip."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any, cast

import pyarrow as pa
from isal import igzip, isal_zlib
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.io.folders import is_system_file

GZIP, ZIP, BZIP2, XZ = b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\0"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STREAMS: dict[bytes, Callable[[IO[bytes]], Any]] = {GZIP: igzip.open, BZIP2: bz2.open, XZ: lzma.open}
_START_BYTES = 6
_ENCRYPTED = 1
_BUFFER = 1 << 20
_DAMAGE = (
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not know
    gzip.BadGzipFile,
    isal_zlib.error,
    lzma.LZMAError,
    pa.ArrowInvalid,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def open_unpacked(location: str, member_ending: str = "", *, plain: bool = True) -> Iterator[IO[bytes]]:
    """Open a file; its compression is recognised by its first bytes, not by its name.

    A byte order mark at the start of the content is skipped.

    Errors of reading within the ``with`` block become a `UserError` too.

    Parameters
    ----------
    member_ending : str
        Of a zip with several files, the one whose name ends with this is read.
    plain : bool
        Whether the file may be uncompressed.
    """
    filesystem, path, _ = open_location(location)
    try:
        if filesystem.get_file_info(path).type != fs.FileType.File:
            raise UserError(f"no file {location}")
        with ExitStack() as stack:
            opened = stack.enter_context(filesystem.open_input_file(path))
            start = opened.read(_START_BYTES)
            opened.seek(0)
            raw: IO[bytes] = stack.enter_context(io.BufferedReader(opened, _BUFFER))
            unpack = next((_STREAMS[mark] for mark in _STREAMS if start.startswith(mark)), None)
            if unpack:
                raw = stack.enter_context(unpack(raw))
            elif start.startswith(ZIP):
                archive = stack.enter_context(zipfile.ZipFile(raw))
                raw = stack.enter_context(archive.open(_member(location, archive, member_ending)))
            elif not plain:
                raise UserError(
                    f"{location} is damaged: its content is not compressed, although its name says so; fetch it again"
                )
            if cast(io.BufferedReader, raw).peek(len(BYTE_ORDER_MARK)).startswith(BYTE_ORDER_MARK):
                raw.read(len(BYTE_ORDER_MARK))
            yield raw
    except _DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        raise UserError(f"{location} is damaged: {' '.join(str(error).split())}; fetch it again") from None
    except OSError as error:
        raise UserError(f"{location} cannot be read: {' '.join(str(error).split())}") from None


def _member(location: str, archive: zipfile.ZipFile, ending: str) -> zipfile.ZipInfo:
    files = [info for info in archive.infolist() if not info.is_dir() and not is_system_file(info.filename)]
    candidates = files if len(files) == 1 else [info for info in files if ending and info.filename.endswith(ending)]
    if len(candidates) != 1:
        names = ", ".join(sorted(info.filename for info in files)[:6])
        raise UserError(f"{location} holds {len(files)} files ({names}), not one; unpack it and name the file")
    if candidates[0].flag_bits & _ENCRYPTED:
        raise UserError(f"{location} is encrypted; unpack it and name the file")
    return candidates[0]
