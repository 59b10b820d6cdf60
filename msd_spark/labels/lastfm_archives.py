"""Read Last.fm's tags in parallel from JSON files, zip archives and the SQLite database."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import IO, cast

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.schemas import spark_schema
from msd_spark.formats.lastfm import ENTRY_NAME, EntryError, parse_entry
from msd_spark.io.folders import check_regular, in_order, is_system_file, list_folder, printable, walk
from msd_spark.io.paged import PagedFile
from msd_spark.io.unpacked import DAMAGE, unpacker
from msd_spark.io.zip_directory import Slice, ZipError, ends_of_archives, members, read_member, slice_directory
from msd_spark.labels.lastfm_database import check_database, read_database
from msd_spark.labels.lastfm_rows import READINGS, Reading, in_batches, rejected_row, rows_of

ZIP_SUFFIX = ".zip"
DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_ARCHIVES = {ZIP_SUFFIX, ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"}
MEMBERS_PER_TASK = 5000
LARGEST_ENTRY = 16 << 20
"""Bytes; a typical entry has a few thousand."""


@dataclass(frozen=True)
class Task:
    """Input of one worker.

    A ``folder`` is read with all folders below it, a ``top`` without them. The other kinds are ``database``, and
    ``slice`` of the directory of a zip file: see `msd_spark.io.zip_directory.Slice`.
    """

    kind: str
    location: str
    start: int = 0
    length: int = 0
    shift: int = 0


def plan_tasks(locations: Iterable[str]) -> list[Task]:
    """Return the tasks that together read some locations."""
    return [task for location in locations for task in _tasks_of(location)]


def read_tags(session: SparkSession, tasks: list[Task]) -> DataFrame:
    """Read tags on the workers; return rows of `msd_spark.labels.lastfm_rows.READINGS`."""
    n_slices = min(len(tasks), max(64, 4 * session.sparkContext.defaultParallelism))
    rows = session.sparkContext.parallelize([tuple(asdict(task).values()) for task in tasks], n_slices)
    schema = "kind string, location string, start long, length long, shift long"

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield from in_batches(_read(Task(**row)))

    return session.createDataFrame(rows, schema).mapInArrow(read, spark_schema(READINGS))


def _tasks_of(location: str) -> list[Task]:
    filesystem, path, prefix = open_location(location)
    info = filesystem.get_file_info(path)
    address = prefix + path  # absolute, because executors run in other folders
    if info.type == fs.FileType.NotFound:
        raise UserError(f"no {location}; --tags takes folders of JSON files, .zip and .db files")
    if info.is_file and location.lower().endswith(DATABASE_SUFFIXES):
        check_database(address)
        return [Task("database", address)]
    if info.is_file and location.lower().endswith(ZIP_SUFFIX):
        with _opened(filesystem, path) as file:
            try:
                ends = list(ends_of_archives(file))
                slices = [part for end in ends for part in slice_directory(file, MEMBERS_PER_TASK, end)]
            except ZipError as error:
                raise UserError(f"{location} cannot be read: {error}; fetch it again") from None
        return [Task("slice", address, *asdict(part).values()) for part in slices]
    if info.type != fs.FileType.Directory:
        raise UserError(f"{location} is neither a .zip nor a .db file; --tags takes these, or folders of JSON files")
    # One task per second-level folder; in the official tree, each has a few thousand files.
    tasks = [Task("top", address)]
    for folder in _folders(filesystem, path):
        tasks.append(Task("top", prefix + folder))
        tasks += [Task("folder", prefix + below) for below in _folders(filesystem, folder)]
    return tasks


def _folders(filesystem: fs.FileSystem, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name, is_folder in list_folder(filesystem, folder) if is_folder]


def _read(task: Task) -> Iterator[Reading]:
    if task.kind == "database":
        yield from read_database(task.location)
    elif task.kind == "slice":
        yield from _read_slice(task.location, Slice(task.start, task.length, task.shift))
    else:
        filesystem, path, prefix = open_location(task.location)
        paths = []
        for name in sorted(file.path for file in walk(filesystem, path, deep=task.kind == "folder")):
            if reason := _skip_reason(name):
                yield {"source": printable(prefix + name), "skipped": reason}
            else:
                paths.append(name)
        read = partial(_content, filesystem)
        is_local = isinstance(filesystem, fs.LocalFileSystem)
        for name, content in ((path, read(path)) for path in paths) if is_local else in_order(read, paths):
            yield from _entry(content, name, printable(prefix + name), None)


def _content(filesystem: fs.FileSystem, path: str) -> bytes | EntryError:
    try:
        if isinstance(filesystem, fs.LocalFileSystem):  # pyarrow cannot open names that are not UTF-8
            check_regular(path)
            with open(path, "rb") as file:
                content = file.read(LARGEST_ENTRY + 1)
        else:
            with filesystem.open_input_stream(path, compression=None) as stream:
                content = stream.read(LARGEST_ENTRY + 1)
    except OSError as error:
        return EntryError("cannot_be_read", " ".join(str(error).split()))
    return content if len(content) <= LARGEST_ENTRY else EntryError("implausible_size", "more than 16 MiB")


def _entry(content: bytes | EntryError, name: str, source: str, member: str | None) -> Iterator[Reading]:
    try:
        if isinstance(content, EntryError):
            raise content
        entry = parse_entry(_unpacked(content), name)
    except EntryError as error:
        yield rejected_row(source, member, error, entries=1)
    else:
        yield from rows_of(source, member, entry)


def _unpacked(content: bytes) -> bytes:
    unpack = unpacker(content)
    if unpack is None:
        return content
    try:
        with unpack(io.BytesIO(content)) as stream:
            unpacked = bytes(stream.read(LARGEST_ENTRY + 1))
    except DAMAGE as error:  # type: ignore[misc]  # isal's stub declares an instance
        raise EntryError("cannot_be_decompressed", " ".join(str(error).split())) from None
    if len(unpacked) > LARGEST_ENTRY:
        raise EntryError("implausible_size", "more than 16 MiB when decompressed")
    return unpacked


def _skip_reason(name: str) -> str | None:
    """Return why a file is not read, by its name; None for the file of an entry."""
    if is_system_file(name):
        return "noise"
    if ENTRY_NAME.fullmatch(name):
        return None
    return "archive" if PurePosixPath(name).suffix.lower() in _ARCHIVES else "other_file"


def _read_slice(location: str, part: Slice) -> Iterator[Reading]:
    filesystem, path, _ = open_location(location)
    with _opened(filesystem, path) as file:
        for member in members(file, part):
            if reason := _skip_reason(member.name):
                if not member.name.endswith("/"):
                    yield {"source": location, "member": member.name, "skipped": reason}
            else:
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
