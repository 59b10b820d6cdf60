"""Extract the needed members of an archive that is not trusted.

A member's name never becomes a path: names are matched by a pattern, and paths are built from its groups. An archive
with links, devices, names outside its folder, or more content than expected is refused completely.
"""

from __future__ import annotations

import gzip
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

from tqdm import tqdm

from msd_spark.fetch.sources import MirrorError, Source

MOST_MEMBERS = 100_000
LONGEST_HEADER = 1 << 16
"""Bytes of the long name or extended header of a tar member, which tarfile reads into memory."""

_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_IN_MEMORY = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


Entry = tuple[str, int, IO[bytes] | None]
"""Name, size and content of a member; None as the content of a folder."""


class HostileArchiveError(MirrorError):
    """An archive with content that no published archive should have."""


def unpack(archive: Path, source: Source, folder: Path) -> list[str]:
    """Extract the members that a source needs into an empty folder; return their sorted paths.

    Zip, tar and tar.gz files are recognised by content. A MirrorError reports an archive that is damaged, hostile or
    incomplete.
    """
    zipped = zipfile.is_zipfile(archive)
    entries = _zip_entries(archive) if zipped else _tar_entries(archive, source.most_unpacked)
    written: set[str] = set()
    left = source.most_unpacked
    try:
        with (
            closing(entries),
            tqdm(unit="iB", unit_scale=True, unit_divisor=1024, desc=source.name, disable=None, leave=False) as bar,
        ):
            for number, (name, size, opened) in enumerate(entries):
                _check_name(name)
                if number >= MOST_MEMBERS:
                    raise HostileArchiveError(f"the archive has more than {MOST_MEMBERS:,} members")
                left -= size
                if left < 0:
                    raise HostileArchiveError(f"the archive unpacks to more than {source.most_unpacked:,} bytes")
                target = target_of(name, source)
                if target is None or opened is None:
                    continue
                if target in written:
                    raise HostileArchiveError(f"the archive contains {target} twice")
                written.add(target)
                _write(opened, folder / target, size)
                bar.update(size)
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise MirrorError(f"the archive is damaged ({error})") from None
    if not any(path == source.target or path.startswith(f"{source.target}/") for path in written):
        raise MirrorError(f"the archive does not contain {source.target}")
    return sorted(written)


def target_of(name: str, source: Source) -> str | None:
    """Return the path at which a member is extracted; None if it is not needed."""
    for rule in source.members:
        if match := re.fullmatch(rule.pattern, name.removeprefix("./")):
            return rule.target.format(*match.groups())
    return None


def _check_name(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise HostileArchiveError(f"the archive has a member outside its folder, {name[:80]!r}")


def _write(opened: IO[bytes], path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    n_written = 0
    with path.open("xb") as file:
        while chunk := opened.read(_CHUNK):
            n_written += len(chunk)
            if n_written > size:
                raise HostileArchiveError(f"{path.name} is larger than the archive declares")
            file.write(chunk)
    if n_written != size:
        raise MirrorError(f"the archive is damaged ({path.name} has {n_written:,} bytes of {size:,})")


def _zip_entries(archive: Path) -> Generator[Entry, None, None]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise HostileArchiveError(f"the archive has a link or device, {info.filename[:80]!r}")
            if info.flag_bits & _ENCRYPTED:
                raise HostileArchiveError(f"the archive has an encrypted member, {info.filename[:80]!r}")
            if info.is_dir():
                yield info.filename, 0, None
                continue
            with opened.open(info) as member:
                yield info.filename, info.file_size, member


def _tar_entries(archive: Path, most: int) -> Generator[Entry, None, None]:
    with archive.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: IO[bytes] = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if packed else raw
        # Headers and padding add about ten per cent to small members.
        limited = cast(IO[bytes], _Limited(stream, most + most // 2))
        with tarfile.open(fileobj=limited, mode="r|", tarinfo=_CheckedHeader) as opened:
            for info in opened:
                if info.isdir():
                    yield info.name, 0, None
                    continue
                if not info.isreg() or info.issparse():
                    raise HostileArchiveError(f"the archive has a link or device, {info.name[:80]!r}")
                yield info.name, info.size, opened.extractfile(info)
        while limited.read(_CHUNK):
            pass  # to the end, where gzip has its checksum


class _CheckedHeader(tarfile.TarInfo):
    """Header of a tar member; one that would fill the memory is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _IN_MEMORY and header.size > LONGEST_HEADER:
            raise HostileArchiveError(f"the archive has a header of {header.size:,} bytes")
        return header


class _Limited:
    """A stream that raises an error after a number of bytes."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most, self._left = stream, most, most

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise HostileArchiveError(f"the archive unpacks to more than {self._most:,} bytes")
        return data
