"""From locations to units: folders are listed in parallel, on the executors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from typing import IO, cast

from pyarrow import fs
from pyspark import SparkContext

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.track_ids import SONG_FILE_SUFFIX, TRACK_ID, song_path, track_id_of
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Kind, SongInput, Unit, cut_into_units
from msd_spark.io.lines import read_lines
from msd_spark.io.paged import open_seekable
from msd_spark.songfile.aggregate import describe

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
GLOB_MARKS = "*?["
COMMENT = "#"
LISTING_TASKS_PER_CORE = 4
FILES_PER_TASK = 5000
"""Files of a manifest, or known track ids, that are looked up by one task."""

ROWS_PER_UNIT = 1000
"""Songs of an aggregate file a unit."""

LEAST_BYTES_OF_A_SONG = 32
"""A file that says it has more songs than it has room for is no aggregate (a summary file has some hundred a song)."""

Task = tuple[str, str, tuple[str, ...]]
"""What a listing task does: ``folder``, ``top`` (a folder without those below it) or ``files``; the location; paths."""


def plan_units(context: SparkContext, settings: IngestSettings) -> list[Unit]:
    """Return the units of everything that is to be ingested, sorted by name within a kind.

    Raises
    ------
    UserError
        When a location is not there, or no song is under any of them.
    """
    if settings.track_ids is not None:
        tasks = _known_tracks(settings)
    else:
        locations, files = _named(settings)
        tasks = [task for location in _without_nested(locations) for task in _listing_tasks(location)]
        for first in range(0, len(files), FILES_PER_TASK):
            tasks.append(("files", settings.manifest or "", tuple(files[first : first + FILES_PER_TASK])))
    n_tasks = max(1, min(len(tasks), LISTING_TASKS_PER_CORE * context.defaultParallelism))
    listed = context.parallelize(tasks, n_tasks).flatMap(_lister(settings)).collect()
    units = {unit.name: unit for unit in listed}
    if not units:
        raise UserError(f"no song file, tar or aggregate in {', '.join(settings.locations) or settings.manifest}")
    return sorted(units.values(), key=lambda unit: unit.inputs[0])


def _known_tracks(settings: IngestSettings) -> list[Task]:
    if len(settings.locations) != 1 or settings.track_ids is None:
        raise UserError("--track-ids goes with one --songs folder, under which the songs are")
    base = settings.locations[0].rstrip("/")
    lines = (text for _, text, _ in read_lines(settings.track_ids))
    ids = sorted({text[:18] for text in lines if TRACK_ID.fullmatch(text[:18])})
    if not ids:
        raise UserError(f"{settings.track_ids} has no line that begins with a track id")
    paths = [f"{base}/{song_path(track_id)}" for track_id in ids]
    return [("known", base, tuple(paths[at : at + FILES_PER_TASK])) for at in range(0, len(paths), FILES_PER_TASK)]


def _named(settings: IngestSettings) -> tuple[list[str], list[str]]:
    """Return the locations to look into, and the song files that the manifest names one by one."""
    locations, files = list(settings.locations), list[str]()
    if settings.manifest is not None:
        for _, text, _ in read_lines(settings.manifest):
            line = text.strip()
            if line and not line.startswith(COMMENT):
                (files if track_id_of(line) else locations).append(line)
    expanded = [found for location in locations for found in (_expand(location) if _is_glob(location) else [location])]
    if not expanded and not files:
        raise UserError("nothing to ingest; name --songs, --manifest or both")
    return expanded, sorted({_absolute(file) for file in files})


def _is_glob(location: str) -> bool:
    return any(mark in location for mark in GLOB_MARKS)


def _expand(pattern: str) -> list[str]:
    """Return what a glob matches, level by level; only folders that match so far are listed."""
    filesystem, path, prefix = open_location(pattern)
    if filesystem.get_file_info(path).type != fs.FileType.NotFound:
        return [pattern]  # the marks are part of a name
    root = "/" if path.startswith("/") else ""
    found = [""]
    for part in path.removeprefix(root).split("/"):
        if _is_glob(part):
            below = [(base, name) for base in found for name, _ in _entries(filesystem, root + base)]
            found = sorted(f"{base}/{name}".lstrip("/") for base, name in below if fnmatch(name, part))
        else:
            found = [f"{base}/{part}".lstrip("/") for base in found]
    paths = [root + name for name in found]
    there = [prefix + info.path for info in filesystem.get_file_info(paths) if info.type != fs.FileType.NotFound]
    if not there:
        raise UserError(f"nothing matches {pattern}")
    return there


def _entries(filesystem: fs.FileSystem, folder: str) -> list[tuple[str, bool]]:
    """Return what is in a folder, by name, and whether it is a folder; nothing where there is no such folder."""
    if isinstance(filesystem, fs.LocalFileSystem):  # which cannot spell names that are no UTF-8
        if not os.path.isdir(folder):
            return []
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry.is_dir()) for entry in entries)
    below = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    return sorted((info.base_name, not info.is_file) for info in below)


def _without_nested(locations: Iterable[str]) -> list[str]:
    """Leave out a location that lies in another one, so that no file is listed twice."""
    kept: list[str] = []
    for location in sorted({_absolute(item) for item in locations}):
        if not any(location == other or location.startswith(f"{other}/") for other in kept):
            kept.append(location)
    return kept


def _absolute(location: str) -> str:
    _, path, prefix = open_location(location)
    return prefix + path


def _listing_tasks(location: str) -> list[Task]:
    """Return the tasks that together list a location: one for each folder of its first level that has several."""
    filesystem, path, prefix = open_location(location)
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise UserError(f"{location} is not there; --songs takes folders, song files, tars, aggregates and globs")
    if info.is_file:
        return [("files", location, (location,))]
    at = path
    while True:
        below = _entries(filesystem, at)
        folders = [f"{at}/{name}" for name, is_folder in below if is_folder]
        if len(folders) != 1 or len(below) > 1:
            break
        at = folders[0]
    return [("top", location, (prefix + at,)), *(("folder", location, (prefix + folder,)) for folder in folders)]


class _lister:  # noqa: N801 - used as a function; a class so that it pickles with its settings
    """The function that a listing task runs."""

    def __init__(self, settings: IngestSettings) -> None:
        self.inputs_per_unit, self.summaries = settings.inputs_per_unit, settings.summaries

    def __call__(self, task: Task) -> Iterator[Unit]:
        how, location, paths = task
        loose: list[SongInput] = []
        for item in _found(how, paths):
            if item.source.endswith(TAR_SUFFIXES):
                yield Unit.of(Kind.TAR, location, [item])
            elif how == "known" or track_id_of(item.source) or item.size < 0:
                loose.append(item)
            else:
                yield from self._aggregate(location, item, loose)
        yield from cut_into_units(location, loose, self.inputs_per_unit)

    def _aggregate(self, location: str, item: SongInput, loose: list[SongInput]) -> Iterator[Unit]:
        """Give the units of a file that is not named like a song: one with many songs, or a song all the same."""
        filesystem, path, _ = open_location(item.source)
        try:
            with open_seekable(filesystem, path) as file:
                found = describe(cast(IO[bytes], file))
        except OSError:
            found = None
        if found is None or found == (1, True) or not 0 < found[0] <= item.size // LEAST_BYTES_OF_A_SONG:
            loose.append(item)
            return
        n_songs, has_arrays = found
        if not has_arrays and self.summaries == "refuse":
            yield Unit.of(Kind.SUMMARY, location, [item], 0, 1)
            return
        for start in range(0, n_songs, ROWS_PER_UNIT):
            yield Unit.of(Kind.AGGREGATE, location, [item], start, min(start + ROWS_PER_UNIT, n_songs))


def _found(how: str, paths: tuple[str, ...]) -> Iterator[SongInput]:
    """Give the song files, tars and aggregates among some paths or under a folder."""
    if how == "known":
        yield from (SongInput(path, -1, 0) for path in paths)
    elif how == "files":
        for path in paths:
            filesystem, inner, _ = open_location(path)
            info = filesystem.get_file_info(inner)
            # What is not there is an input all the same: reading it will say so in rejected/.
            yield _input(path, info) if info.is_file else SongInput(path, -1, 0)
    else:
        filesystem, inner, prefix = open_location(paths[0])
        if isinstance(filesystem, fs.LocalFileSystem):
            yield from _walk(inner, deep=how == "folder")
            return
        for info in filesystem.get_file_info(fs.FileSelector(inner, recursive=how == "folder")):
            if info.is_file and info.path.endswith((SONG_FILE_SUFFIX, *TAR_SUFFIXES)):
                yield _input(prefix + info.path, info)


def _input(source: str, info: fs.FileInfo) -> SongInput:
    return SongInput(source, info.size, info.mtime_ns or 0)


def _walk(folder: str, deep: bool, above: frozenset[str] = frozenset()) -> Iterator[SongInput]:
    """Give the files under a local folder; a link that leads back to a folder above it is not followed."""
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                if deep:
                    yield from _walk(entry.path, deep, above | {here})
            elif entry.name.endswith((SONG_FILE_SUFFIX, *TAR_SUFFIXES)):
                try:
                    status = entry.stat()
                except OSError:  # a link to nowhere: reading it will say so in rejected/
                    yield SongInput(entry.path, -1, 0)
                else:
                    yield SongInput(entry.path, status.st_size, status.st_mtime_ns)
