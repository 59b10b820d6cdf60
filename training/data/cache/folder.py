"""A bounded folder of copies of files, shared by the processes of a machine.

A file under its final name is complete. Its readers hold a shared lock; its writer or remover holds an exclusive one.
The system releases the locks of a killed process, so that no lock has to expire.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from training.data.cache.eviction import Entry, eviction_order, planned_time

NAME = re.compile("[0-9a-f]{40}")

PART = ".part"
"""Suffix of a file that is being fetched."""

LEDGER = "bytes"
"""File with the number of bytes in the folder, which is locked while the folder changes."""

MARK = b"PAR1"
"""First and last bytes of a Parquet file."""

PAUSE = 0.005
"""Seconds between checks of a file that another process fetches."""

PATIENCE = 60.0
"""Seconds after which a file that another process fetches is read from its source."""

SLACK = 1 / 64
"""Share of the bound that may be freed beyond what is needed, so that the folder is not listed for every file."""

RESERVE = 1 << 30
"""Bytes of the disk that are left free for others, or a twentieth of the disk if that is less."""

Read = Callable[[], Iterable[bytes | memoryview]]
"""Returns the content of a file, in pieces."""


@dataclass(frozen=True)
class Copy:
    """A complete file, which is not removed until it is released."""

    path: str
    descriptor: int

    def release(self) -> None:
        """Mark the file as used now, and let it be removed."""
        with contextlib.suppress(OSError):
            os.utime(self.descriptor)
        os.close(self.descriptor)


@dataclass
class CacheFolder:
    """A folder with at most `bound` bytes of files.

    After an error of the disk it warns once and fetches nothing more.
    """

    path: str
    bound: int
    failed: bool = field(default=False, init=False)
    full: bool = field(default=False, init=False)
    _warned: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Make the folder, and remove what killed processes left."""
        try:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            if os.stat(self.path).st_uid not in (os.getuid(), 0):
                raise PermissionError(errno.EPERM, "belongs to another user")
            with self._ledger() as ledger:
                _write_total(ledger, self._freed(0, self.bound))
        except OSError as error:
            self._fail(error)

    def plan(self, names: Iterable[str]) -> None:
        """Record the order in which cached files will be read; ignore the others."""
        now = time.time()
        for number, name in enumerate(names):
            with contextlib.suppress(OSError):
                os.utime(self._at(name), (now, planned_time(now, number)))

    def find(self, name: str, size: int) -> Copy | None:
        """Return a complete file; None if it is missing, locked or damaged (then it is removed)."""
        path = self._at(name)
        try:
            descriptor = os.open(path, os.O_RDONLY)
            if _has_locked(descriptor, fcntl.LOCK_SH):
                if _is_complete(descriptor, size):
                    return Copy(path, descriptor)
                with self._ledger():  # another process may have replaced it
                    if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(descriptor)):
                        os.unlink(path)
            os.close(descriptor)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._fail(error)
        return None

    def fetch(self, name: str, size: int, read: Read) -> Copy | None:
        """Return a file of a known size, fetched by `read` unless it is here already.

        None if the source or the disk fails, or there is no room: then it must be read from its source.
        """
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                if copy := self.find(name, size):
                    return copy
                if self.failed:
                    return None
                if (part := self._locked_part(name)) is not None:
                    return self._filled(part, name, size, read)
                time.sleep(PAUSE)
        except OSError as error:
            self._fail(error)
        return None

    def discard(self, path: str, error: Exception) -> None:
        """Remove a file that cannot be read."""
        self.warn(f"a copy cannot be read ({' '.join(str(error).split())})")
        with contextlib.suppress(OSError), self._ledger():
            os.unlink(path)

    def _fail(self, error: OSError) -> None:
        self.failed = True
        self.warn(error.strerror)

    def warn(self, reason: str | None) -> None:
        """Print why the store is read directly, once."""
        if not self._warned:
            self._warned = True
            remedy = "free space on its disk, or choose another --cache or --cache-gib"
            print(f"cache {self.path}: {reason}; reading the store directly, which is slow; {remedy}", file=sys.stderr)

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}"

    def _locked_part(self, name: str) -> int | None:
        """Return the descriptor of a file to fetch; None if another process or thread is fetching it."""
        part = self._at(name) + PART
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        if _has_locked(descriptor, fcntl.LOCK_EX):
            if not os.path.exists(self._at(name)):
                return descriptor
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)
        os.close(descriptor)
        return None

    def _filled(self, descriptor: int, name: str, size: int, read: Read) -> Copy | None:
        """Fetch a file, whose descriptor is locked; return it unless that fails or there is no room."""
        path, copy = self._at(name), None
        try:
            if self._has_reserved(descriptor, size) and _has_copied(read, size, descriptor):
                with self._ledger():
                    os.rename(path + PART, path)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                if os.fstat(descriptor).st_nlink:  # not removed between the two locks
                    copy = Copy(path, descriptor)
        finally:
            if copy is None:
                with contextlib.suppress(OSError):
                    os.unlink(path + PART)
                os.close(descriptor)
        return copy

    def _has_reserved(self, descriptor: int, size: int) -> bool:
        """Reserve the size of a file, removing others if needed; return whether there is room."""
        disk = shutil.disk_usage(self.path)
        with self._ledger() as ledger:
            content = ledger.read()
            total = int(content) if content.isdigit() else self.bound
            bound = min(self.bound, total + disk.free - min(RESERVE, disk.total // 20))
            if total + size > bound:
                total = self._freed(size, bound)
            self.full = total + size > bound
            if not self.full:
                os.ftruncate(descriptor, size)
                total += size
            _write_total(ledger, total)
            return not self.full

    def _freed(self, room: int, bound: int) -> int:
        """Remove leftovers, and files if there is no room; return the number of bytes that remain."""
        entries, total = [], 0
        for item in os.scandir(self.path):
            is_part = item.name.endswith(PART)
            if not NAME.fullmatch(item.name.removesuffix(PART)) or (is_part and _has_removed(item.path)):
                continue
            with contextlib.suppress(FileNotFoundError):  # the fetch of a part has failed meanwhile
                info = item.stat()
                total += info.st_size
                if not is_part:
                    entries.append(Entry(item.path, info.st_size, info.st_mtime))
        if total + room > bound:
            for entry in eviction_order(entries, time.time()):
                surplus = bound - total - room
                if surplus >= 0 and surplus + entry.size > bound * SLACK:
                    break
                total -= entry.size * _has_removed(entry.name)
        return total

    @contextmanager
    def _ledger(self) -> Iterator[IO[bytes]]:
        """Yield the file with the number of bytes, locked."""
        with open(os.open(self._at(LEDGER), os.O_RDWR | os.O_CREAT, 0o600), "r+b") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            yield ledger


def _write_total(ledger: IO[bytes], total: int) -> None:
    ledger.seek(0)
    ledger.truncate()
    ledger.write(str(total).encode())
    ledger.flush()


def _has_locked(descriptor: int, kind: int) -> bool:
    """Lock a file unless it is locked or was removed meanwhile; return whether that succeeded."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _has_removed(path: str) -> bool:
    """Remove a file unless it is locked; return whether that succeeded."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if not _has_locked(descriptor, fcntl.LOCK_EX):
            return False
        os.unlink(path)
        return True
    finally:
        os.close(descriptor)


def _is_complete(descriptor: int, size: int) -> bool:
    return os.fstat(descriptor).st_size == size and all(
        os.pread(descriptor, len(MARK), at) == MARK for at in (0, max(0, size - len(MARK)))
    )


def _has_copied(read: Read, size: int, descriptor: int) -> bool:
    """Write what `read` returns to a file; return False if it fails or has another size."""
    n_bytes = 0
    with open(descriptor, "wb", closefd=False) as sink:
        for piece in _until_error(read):
            n_bytes += len(piece)
            if n_bytes > size:
                break
            sink.write(piece)
    return n_bytes == size


def _until_error(read: Read) -> Iterator[bytes | memoryview]:
    with contextlib.suppress(OSError):  # reading the source directly states the error
        yield from read()
