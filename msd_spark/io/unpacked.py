"""Open a file, local or remote, that may be packed as it was downloaded: plain, gzip, or one member of a zip."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, cast

import pyarrow as pa
from pyarrow import fs

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
_BUFFER = 1 << 20


@contextmanager
def open_unpacked(location: str, member_ending: str = "") -> Iterator[IO[bytes]]:
    """Open a file for reading; how it is packed is seen from its first bytes, not from its name.

    Parameters
    ----------
    stage : str
        Who asks, for the error.
    location : str
        Path or address of the file.
    member_ending : str
        Of a zip with several files, the one whose name ends so is read.

    Raises
    ------
    UserError
        When the file is not there, is cut off or damaged within its packing, or is a zip without
        exactly one such member. Errors of reading within the ``with`` block count too.
    """
    filesystem, path, _ = open_location(location)
    try:
        if filesystem.get_file_info(path).type != fs.FileType.File:
            raise UserError(f"no file {location}")
        with ExitStack() as stack:
            opened = stack.enter_context(filesystem.open_input_file(path))
            start = opened.read(len(ZIP))
            opened.seek(0)
            raw: IO[bytes] = stack.enter_context(io.BufferedReader(opened, _BUFFER))
            if start.startswith(GZIP):
                unpacked = stack.enter_context(gzip.GzipFile(fileobj=raw))
                raw = cast(IO[bytes], unpacked)
            elif start == ZIP:
                archive = stack.enter_context(zipfile.ZipFile(raw))
                raw = stack.enter_context(archive.open(_member(location, archive, member_ending)))
            yield raw
    except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, pa.ArrowInvalid) as error:
        raise UserError(f"{location} is cut off or damaged ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{location} cannot be read: {' '.join(str(error).split())}") from None


def _member(location: str, archive: zipfile.ZipFile, ending: str) -> zipfile.ZipInfo:
    files = [info for info in archive.infolist() if not info.is_dir()]
    found = files if len(files) == 1 else [info for info in files if ending and info.filename.endswith(ending)]
    if len(found) != 1:
        names = ", ".join(sorted(info.filename for info in files)[:6])
        raise UserError(f"{location} holds {len(files)} files ({names}); unpack it and name one of them")
    return found[0]
