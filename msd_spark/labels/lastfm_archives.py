"""Last.fm's tags in the three ways they are handed out: a folder of JSON files, a zip of it, an SQLite database.

Each is cut into tasks, and a task gives readings: a row an entry, with what became of it, and a row a tag.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import IO, Any, cast

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.schemas import spark_schema
from msd_spark.formats.lastfm import ENTRY_SUFFIX, EntryError, parse_entry
from msd_spark.io.paged import PagedFile
from msd_spark.io.zip_directory import Slice, ZipError, members, read_member, slice_directory
from msd_spark.labels.lastfm_database import check_database, read_database
from msd_spark.labels.lastfm_rows import READINGS, Reading, in_batches, readings_of, refused

ZIP_SUFFIX = ".zip"
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
MEMBERS_PER_TASK = 5000
LARGEST_ENTRY = 16 << 20
"""Bytes; an entry has some thousand."""

GETS_AT_ONCE = 16
"""Requests that a task has under way where files are remote."""


@dataclass(frozen=True)
class Task:
    """What one worker reads.

    Attributes
    ----------
    how : str
        ``folder`` with all below it, ``top``, a folder without those below it, ``slice`` of a zip's directory, or
        ``database``.
    location : str
    start, length, shift : int
        Of a zip's directory, see `msd_spark.io.zip_directory.Slice`.
    """

    how: str
    location: str
    start: int = 0
    length: int = 0
    shift: int = 0


def read_tags(session: SparkSession, locations: Iterable[str]) -> DataFrame:
    """Return what stands in folders, zips and databases, as in `msd_spark.labels.lastfm_rows.READINGS`.

    Raises
    ------
    UserError
        When one of them is not there, or not what its name says.
    """
    tasks = [task for location in locations for task in plan_tasks(location)]
    n_slices = min(len(tasks), max(64, 4 * session.sparkContext.defaultParallelism))
    listed = session.sparkContext.parallelize([tuple(asdict(task).values()) for task in tasks], n_slices)
    schema = "how string, location string, start long, length long, shift long"

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield from in_batches(_readings(Task(**row)))

    return session.createDataFrame(listed, schema).mapInArrow(read, spark_schema(READINGS))


def plan_tasks(location: str) -> list[Task]:
    """Return the tasks that together read a location; the folders of a tree's first two levels are a task each."""
    filesystem, path, prefix = open_location(location)
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise UserError(f"{location} is not there; --tags takes a folder of JSON files, a .zip or a .db")
    if info.is_file and location.endswith(DATABASE_SUFFIXES):
        check_database(location)
        return [Task("database", location)]
    if info.is_file and location.endswith(ZIP_SUFFIX):
        with _opened(filesystem, path) as file:
            try:
                slices = slice_directory(file, MEMBERS_PER_TASK)
            except ZipError as error:
                raise UserError(f"{location} cannot be read: {error}; fetch it again") from None
        return [Task("slice", location, *asdict(part).values()) for part in slices]
    if info.is_file:
        raise UserError(f"{location} is no .zip and no .db; --tags takes these, or a folder of JSON files")
    tasks = [Task("top", prefix + path)]
    for folder in _folders(filesystem, path):
        tasks.append(Task("top", prefix + folder))
        tasks += [Task("folder", prefix + below) for below in _folders(filesystem, folder)]
    return tasks


def _folders(filesystem: fs.FileSystem, folder: str) -> list[str]:
    if isinstance(filesystem, fs.LocalFileSystem):
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir())
    below = filesystem.get_file_info(fs.FileSelector(folder))
    return sorted(info.path for info in below if not info.is_file)


def _readings(task: Task) -> Iterator[Reading]:
    if task.how == "database":
        yield from read_database(task.location)
    elif task.how == "slice":
        yield from _read_slice(task.location, Slice(task.start, task.length, task.shift))
    else:
        filesystem, path, prefix = open_location(task.location)
        if isinstance(filesystem, fs.LocalFileSystem):
            for name in sorted(_walk(path, task.how == "folder")):
                yield from _entry(_content(filesystem, name), name, _printable(name), None)
        else:
            selector = fs.FileSelector(path, recursive=task.how == "folder")
            found = sorted(one.path for one in filesystem.get_file_info(selector) if one.path.endswith(ENTRY_SUFFIX))
            for name, content in _fetched(filesystem, found):
                yield from _entry(content, name, prefix + name, None)


def _walk(folder: str, deep: bool, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Give the entries' files under a local folder; a link that leads back to a folder above it is not followed."""
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if deep:
                    yield from _walk(entry.path, deep, above | {here})
            elif entry.name.endswith(ENTRY_SUFFIX):
                yield entry.path


def _content(filesystem: fs.FileSystem, path: str) -> bytes | EntryError:
    """Return a file's bytes, or why they cannot be had."""
    try:
        if isinstance(filesystem, fs.LocalFileSystem):
            with open(path, "rb") as file:
                content = file.read(LARGEST_ENTRY + 1)
        else:
            with filesystem.open_input_stream(path, compression=None) as stream:
                content = stream.read(LARGEST_ENTRY + 1)
    except OSError as error:
        return EntryError("cannot_be_read", " ".join(str(error).split()))
    return content if len(content) <= LARGEST_ENTRY else EntryError("implausible_size", "no entry has 16 MiB")


def _fetched(filesystem: fs.FileSystem, paths: Iterable[str]) -> Iterator[tuple[str, bytes | EntryError]]:
    """Give remote files' contents in order, with several requests under way."""
    remaining = iter(paths)
    with ThreadPoolExecutor(GETS_AT_ONCE) as pool:

        def ask(path: str) -> tuple[str, Any]:
            return path, pool.submit(_content, filesystem, path)

        waiting = deque(map(ask, islice(remaining, 2 * GETS_AT_ONCE)))
        while waiting:
            path, future = waiting.popleft()
            waiting.extend(map(ask, islice(remaining, 1)))
            yield path, future.result()


def _entry(content: bytes | EntryError, name: str, source: str, member: str | None) -> Iterator[Reading]:
    """Give the readings of an entry's file."""
    try:
        if isinstance(content, EntryError):
            raise content
        entry = parse_entry(content, name)
    except EntryError as error:
        yield refused(source, member, error, entries=1)
    else:
        yield from readings_of(source, member, entry)


def _read_slice(location: str, part: Slice) -> Iterator[Reading]:
    filesystem, path, _ = open_location(location)
    with _opened(filesystem, path) as file:
        for member in members(file, part):
            if member.name.endswith(ENTRY_SUFFIX) and not member.name.startswith("__MACOSX/"):
                content: bytes | EntryError
                try:
                    content = read_member(file, member)
                except ZipError as error:
                    content = EntryError("damaged_member", str(error))
                yield from _entry(content, member.name, location, member.name)


@contextmanager
def _opened(filesystem: fs.FileSystem, path: str) -> Iterator[IO[bytes]]:
    if isinstance(filesystem, fs.LocalFileSystem):
        with open(path, "rb") as file:
            yield file
    else:
        with PagedFile(filesystem.open_input_file(path)) as paged:
            yield cast(IO[bytes], paged)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
