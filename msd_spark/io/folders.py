"""List folders and work on many files at once, local or remote."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

from pyarrow import fs

T = TypeVar("T")
R = TypeVar("R")

READS_AT_ONCE = 32
"""Concurrent requests per task for remote files."""

UNITS_AT_ONCE = 3
"""Concurrent units or files per task on a store: some wait for it while another computes."""


_SYSTEM_FILE = re.compile(r"(.*/)?(__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)", re.DOTALL | re.IGNORECASE)


class File(NamedTuple):
    """A file in a folder, by its path for the filesystem that was listed.

    `size` is in bytes, -1 if unknown, as for a broken link; `modified` in nanoseconds since 1970, 0 if unknown.
    """

    path: str
    size: int
    modified: int


class NotAFileError(OSError):
    """A pipe, socket or device: opening or reading it may take for ever."""


def check_regular(path: str) -> None:
    """Raise a `NotAFileError` for a local pipe, socket or device."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
        raise NotAFileError(f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}; name a regular file")


def list_folder(filesystem: fs.FileSystem, folder: str) -> list[tuple[str, bool]]:
    """Return the sorted names in a folder, and whether each is a folder; none if missing."""
    if isinstance(filesystem, fs.LocalFileSystem):  # pyarrow cannot represent names that are not UTF-8
        if not os.path.isdir(folder):
            return []
        with os.scandir(folder) as entries:
            return sorted((entry.name, _is_folder(entry)) for entry in entries)
    below = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    return sorted((info.base_name, not info.is_file) for info in below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def walk(
    filesystem: fs.FileSystem, folder: str, suffixes: tuple[str, ...] = ("",), *, deep: bool = True
) -> Iterator[File]:
    """Yield the files with one of the suffixes in a folder, and below it if `deep`.

    A local link to nothing, pipe, socket or device is a file of unknown size.
    """
    if isinstance(filesystem, fs.LocalFileSystem):
        yield from _walk_local(folder, suffixes, deep, frozenset())
        return
    infos = filesystem.get_file_info(fs.FileSelector(folder, recursive=deep))
    markers = _folder_markers(infos, folder)
    for info in infos:
        if info.is_file and info.path.endswith(suffixes) and info.path not in markers:
            yield File(info.path, info.size, info.mtime_ns or 0)


def _folder_markers(infos: Iterable[fs.FileInfo], folder: str) -> set[str]:
    """Return the empty objects named like a folder, which S3's console creates."""
    empty = {info.path for info in infos if info.is_file and not info.size}
    folders = {folder}
    for info in infos if empty else ():
        path = info.path
        while (path := path.rpartition("/")[0]) and path not in folders:
            folders.add(path)
    return empty & folders


def _walk_local(folder: str, suffixes: tuple[str, ...], deep: bool, above: frozenset[str]) -> Iterator[File]:
    here = os.path.realpath(folder)
    if here in above:
        return  # a link to a folder above
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if _is_folder(entry):
                if deep:
                    yield from _walk_local(entry.path, suffixes, deep, above | {here})
            elif entry.name.endswith(suffixes):
                try:
                    status = entry.stat()
                except OSError:  # a broken link
                    status = None
                if status and stat.S_ISREG(status.st_mode):
                    yield File(entry.path, status.st_size, status.st_mtime_ns)
                else:
                    yield File(entry.path, -1, 0)


def in_order(function: Callable[[T], R], items: Iterable[T], at_once: int = READS_AT_ONCE) -> Iterator[tuple[T, R]]:
    """Yield each item and the result of a function, in order, with several calls at once."""
    remaining, pool = iter(items), ThreadPoolExecutor(at_once)
    try:
        pending = deque((item, pool.submit(function, item)) for item in islice(remaining, 2 * at_once))
        while pending:
            item, future = pending.popleft()
            result = future.result()
            pending.extend((following, pool.submit(function, following)) for following in islice(remaining, 1))
            yield item, result
    finally:
        pool.shutdown(cancel_futures=True)


def is_system_file(path: str) -> bool:
    """Return whether macOS or Windows added a file to a folder or an archive.

    Examples
    --------
    >>> is_system_file("__MACOSX/._labels.cls")
    True
    """
    return _SYSTEM_FILE.fullmatch(path) is not None


def printable(name: str) -> str:
    """Return a file name as valid text; bytes that are not UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
