"""``fetch.lock.json``: the files fetched into a folder, with their first checksums."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from msd_spark.core.errors import UserError
from msd_spark.fetch.part_file import sha256_of

LOCK_FILE = "fetch.lock.json"
SCRATCH = ".fetch"
"""Folder of partial downloads and of archives being unpacked; removed when nothing is unfinished."""


@dataclass(frozen=True)
class Seen:
    """State of a file or folder; a folder's SHA-256 is of lines ``path size``, one per file."""

    files: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """Record of a source in the lock file.

    `address` is None if the file was put there by other means. `sha256` and `size` (bytes) are those of the first
    download, before unpacking. `count` is the number of rows. `places` has the state of each file or folder, by path in
    the data folder.
    """

    address: str | None
    sha256: str | None
    size: int | None
    count: int
    places: dict[str, Seen]


class LockFile:
    """The lock file of a folder; every change is written at once, atomically."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_FILE
        self.entries: dict[str, Entry] = {}
        if self.path.exists():
            try:
                for name, entry in json.loads(self.path.read_text())["sources"].items():
                    places = {path: Seen(**seen) for path, seen in entry.pop("places").items()}
                    self.entries[name] = Entry(**entry, places=places)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise UserError(f"{self.path} cannot be read ({error}); correct it, or remove it") from None

    def put(self, name: str, entry: Entry) -> None:
        """Record a source; the checksum of its first download stays if its files are adopted."""
        before = self.entries.get(name)
        if before and entry.sha256 is None:
            entry = replace(entry, sha256=before.sha256, size=before.size, address=before.address)
        self.entries[name] = entry
        content = {"sources": {key: asdict(self.entries[key]) for key in sorted(self.entries)}}
        staging = self.path.with_name(f"{LOCK_FILE}.part")
        with staging.open("w") as file:
            file.write(json.dumps(content, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        staging.replace(self.path)


def see(path: Path) -> Seen:
    """Return the state of a file or folder."""
    if path.is_file():
        return Seen(1, path.stat().st_size, sha256_of(path))
    sizes = sorted(_sizes(path).items())
    lines = "".join(f"{name} {size}\n" for name, size in sizes)
    return Seen(len(sizes), sum(size for _, size in sizes), hashlib.sha256(lines.encode()).hexdigest())


def is_unchanged(path: Path, seen: Seen) -> bool:
    """Return whether a file or folder has the same size as before; its content is not read."""
    if path.is_file():
        return path.stat().st_size == seen.size
    sizes = _sizes(path)
    return (len(sizes), sum(sizes.values())) == (seen.files, seen.size)


def _sizes(folder: Path) -> dict[str, int]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


@contextmanager
def exclusive(folder: Path) -> Iterator[Path]:
    """Lock a folder, or raise a `UserError` if it is locked; yield its scratch folder."""
    scratch = folder / SCRATCH
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another fetch is running in {folder}; wait until it ends") from None
        yield scratch
        if [path.name for path in scratch.iterdir()] == ["lock"]:
            (scratch / "lock").unlink()
            scratch.rmdir()
