"""``fetch.lock.json``: what was fetched into a folder, and what it was when it was first seen."""

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
"""Folder of parts and of what is being unpacked; gone when there is nothing unfinished."""


@dataclass(frozen=True)
class Seen:
    """A file or a folder as it was put there.

    Attributes
    ----------
    files, size : int
        How many files it is, and their bytes.
    sha256 : str
        Of the file; of a folder, of the lines ``path size`` of its files.
    """

    files: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """What the lock file says of a source.

    Attributes
    ----------
    address : str or None
        Where it came from; None where the file stood in the folder before.
    sha256 : str or None
        Of the download, as it was first seen; of a packed one, of the archive.
    size : int or None
        Bytes of the download.
    count : int
        Its rows.
    places : dict of str to Seen
        What it gave, by path in the folder.
    """

    address: str | None
    sha256: str | None
    size: int | None
    count: int
    places: dict[str, Seen]


class LockFile:
    """The lock file of a folder; every change is written at once, and whole."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_FILE
        self.entries: dict[str, Entry] = {}
        if self.path.exists():
            try:
                for name, entry in json.loads(self.path.read_text())["sources"].items():
                    places = {path: Seen(**seen) for path, seen in entry.pop("places").items()}
                    self.entries[name] = Entry(**entry, places=places)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise UserError(
                    f"{self.path} cannot be read ({error}); put it right, or remove it to begin a new one"
                ) from None

    def put(self, name: str, entry: Entry) -> None:
        """Note a source; the first download's checksum stays, whatever comes of its files later."""
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
    """Return what a file or folder is now."""
    if path.is_file():
        return Seen(1, path.stat().st_size, sha256_of(path))
    files = sorted((file.relative_to(path).as_posix(), file.stat().st_size) for file in _files(path))
    lines = "".join(f"{name} {size}\n" for name, size in files)
    return Seen(len(files), sum(size for _, size in files), hashlib.sha256(lines.encode()).hexdigest())


def is_there(path: Path, seen: Seen) -> bool:
    """Return whether a file or folder is as large as it was; nothing is read for that."""
    if path.is_file():
        return path.stat().st_size == seen.size
    sizes = [file.stat().st_size for file in _files(path)] if path.is_dir() else []
    return (len(sizes), sum(sizes)) == (seen.files, seen.size)


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file())


@contextmanager
def only_one(folder: Path) -> Iterator[Path]:
    """Hold a folder for one command at a time; give its folder for unfinished things.

    Raises
    ------
    UserError
        When another one is at work.
    """
    scratch = folder / SCRATCH
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another fetch is at work in {folder}; wait for it to end") from None
        yield scratch
        if [path.name for path in scratch.iterdir()] == ["lock"]:
            (scratch / "lock").unlink()
            scratch.rmdir()
