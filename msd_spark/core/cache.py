"""Files derived from tables, kept on this machine for the next call.

The folder is ``$MSD_SPARK_CACHE``, otherwise ``msd-spark`` in ``$XDG_CACHE_HOME`` or in ``~/.cache``. An entry has a
place, such as a run of a warehouse, and a version of the tables that it was derived from. It is written under another
name and renamed when it is complete, so that concurrent calls share the first that is complete and no call reads a part
of one. Deleting the folder is always safe.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msd_spark.core.errors import UserError

T = TypeVar("T")

VARIABLE = "MSD_SPARK_CACHE"
"""Environment variable with the folder."""

MANIFEST = "complete.json"
"""File of a complete entry: the size of each of its files."""

UNFINISHED = ".unfinished-"
"""Part of the name of an entry that is being written."""

_OF_THIS_PROCESS: dict[Path, Path] = {}
"""Temporary folders of entries if the cache is not writable."""

FORMAT = 1
"""Changes whenever the files of an entry change their form."""

UNUSED_DAYS = 30
"""Days without use after which an entry is deleted."""

UNFINISHED_DAYS = 1
"""Days after which an unfinished entry belongs to a call that was killed."""


def cache_folder() -> Path:
    """Return the folder of the entries; without one of its own, that of the XDG base directory specification."""
    if own := os.environ.get(VARIABLE, ""):
        return Path(own).absolute()
    stated = os.environ.get("XDG_CACHE_HOME", "")
    parent = Path(stated) if os.path.isabs(stated) else Path(os.path.expanduser("~")) / ".cache"
    return parent / "msd-spark"


def cached(kind: str, place: str, version: str, build: Callable[[Path], None], *, again: bool = False) -> Path:
    """Return the folder of an entry, after writing it if it is missing or incomplete.

    Parameters
    ----------
    kind, place : str
        What the entry is derived from: a new version replaces those of the same kind and place.
    version : str
        Text that differs between versions of the source.
    build : callable
        Writes the files of the entry to an existing folder.
    again : bool
        Write it even if it looks complete, because its content was found to be damaged.
    """
    parent = cache_folder() / f"{kind}-{_digest(place)}"
    entry = parent / _digest(f"{FORMAT}\n{version}")
    if not again and _is_complete(entry):
        with contextlib.suppress(OSError):  # the time of the last use; a read-only cache has none
            os.utime(entry)
        return entry
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = parent / f"{entry.name}{UNFINISHED}{uuid.uuid4().hex[:8]}"
        unfinished.mkdir()
    except OSError as error:
        return _temporary(entry, build, error, again)
    try:
        build(unfinished)
        _write_manifest(unfinished)
        _publish(unfinished, entry, again)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"the cache {cache_folder()} is full; free space there, or set {VARIABLE}") from error
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _clean(entry)
    return entry


def opened(
    kind: str,
    place: str,
    version: str,
    build: Callable[[Path], None],
    read: Callable[[Path], T],
    damage: tuple[type[Exception], ...],
) -> T:
    """Return what `read` returns for the folder of an entry, after writing it again if it raises one of `damage`.

    For the other parameters see `cached`.
    """
    folder = cached(kind, place, version, build)
    try:
        return read(folder)
    except damage:
        return read(cached(kind, place, version, build, again=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _is_complete(entry: Path) -> bool:
    """Return whether all files of an entry have the sizes of its manifest."""
    try:
        sizes = json.loads((entry / MANIFEST).read_bytes())
        return bool(sizes) and all((entry / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _write_manifest(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    (folder / MANIFEST).write_text(json.dumps(sizes))


def _publish(unfinished: Path, entry: Path, again: bool) -> None:
    """Give a written entry its name; that of another call that was faster stays."""
    for _ in range(2):
        if not again and _is_complete(entry):
            return
        # A folder replaces an empty one only, so a damaged one is moved away first.
        damaged = Path(f"{unfinished}-old")
        with contextlib.suppress(FileNotFoundError):
            entry.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
        try:
            unfinished.rename(entry)
            return
        except OSError:  # another call has just published its own
            continue


def _clean(entry: Path) -> None:
    """Delete other versions of an entry, what killed calls left, and entries unused for long."""
    now = time.time()
    with contextlib.suppress(OSError):
        for other in [*entry.parent.iterdir(), *entry.parent.parent.glob("*/*")]:
            with contextlib.suppress(FileNotFoundError):  # another call was faster
                days = (now - other.stat().st_mtime) / 86_400
                is_version = other.parent == entry.parent and other != entry and UNFINISHED not in other.name
                most = UNFINISHED_DAYS if UNFINISHED in other.name else UNUSED_DAYS
                if is_version or days > most:
                    shutil.rmtree(other, ignore_errors=True)
                    with contextlib.suppress(OSError):  # others are in it
                        other.parent.rmdir()


def _temporary(entry: Path, build: Callable[[Path], None], reason: OSError, again: bool) -> Path:
    """Write an entry for this process only."""
    if entry in _OF_THIS_PROCESS and not again:
        return _OF_THIS_PROCESS[entry]
    if not _OF_THIS_PROCESS:
        print(
            f"the cache {cache_folder()} is not writable ({reason.strerror}), so every call takes as long as the "
            f"first; set {VARIABLE} to a writable folder",
            file=sys.stderr,
        )
    folder = Path(tempfile.mkdtemp(prefix="msd-spark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build(folder)
    _OF_THIS_PROCESS[entry] = folder
    return folder
