"""Write archives whose bytes depend only on their contents.

Unchanged ones are then not uploaded again.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from isal import igzip

from msd_spark.fetch.part_file import sha256_of


def write_archive(path: Path, members: Iterable[tuple[str, Path | bytes | str]]) -> None:
    """Write a tar.gz of members in the order given.

    Parameters
    ----------
    members : iterable of (str, Path or bytes or str)
        Name in the archive, and its content: a file to copy with its executable bit, the bytes of a file,
        executable if it is a script, or the target of a symbolic link as text.

    Notes
    -----
    Times, owners and permissions are fixed: archives with the same contents are identical on every machine.
    """
    with (
        path.open("wb") as raw,
        igzip.IGzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, content, 0o777
                archive.addfile(info)
            elif isinstance(content, bytes):
                info.size, info.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
                archive.addfile(info, io.BytesIO(content))
            else:
                info.size = content.stat().st_size
                info.mode = 0o755 if content.stat().st_mode & 0o100 else 0o644
                with content.open("rb") as source:
                    archive.addfile(info, source)


def named_by_contents(path: Path) -> Path:
    """Rename an archive to include the start of its checksum; return its new path."""
    stem, suffix = path.name.split(".", 1)
    return path.rename(path.with_name(f"{stem}-{sha256_of(path)[:16]}.{suffix}"))
