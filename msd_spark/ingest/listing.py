"""List locations in parallel, on the executors, and split what is found into units."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import partial
from typing import IO, NamedTuple, cast

from pyarrow import fs
from pyspark import SparkContext

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local, local_path, open_location
from msd_spark.core.track_ids import TRACK_ID, song_path, track_id_of
from msd_spark.ingest.metadata import ROWS_PER_UNIT as METADATA_ROWS
from msd_spark.ingest.metadata import format_of, units_of, units_of_parts
from msd_spark.ingest.names import Content, content_of, skip_reason
from msd_spark.ingest.settings import IngestSettings
from msd_spark.ingest.units import Kind, Part, SongInput, Unit, split_into_units
from msd_spark.io.folders import check_regular, is_system_file, list_folder, walk
from msd_spark.io.lines import read_lines
from msd_spark.io.paged import open_seekable
from msd_spark.songfile.aggregate import describe

GLOB_MARKS = "*?["
COMMENT = "#"
LISTING_TASKS_PER_CORE = 4
FILES_PER_TASK = 5000
"""Files of a manifest, or track ids, per listing task."""

ROWS_PER_UNIT = 1000
"""Songs of an aggregate file per unit."""

MIN_SONG_BYTES = 32
"""A file with fewer bytes per declared song is not an aggregate; a summary file has some hundred per song."""

PARQUET_FOLDER = ".parquet"
"""Ending of the name of a folder whose Parquet files are one table, as Spark writes them."""


class Task(NamedTuple):
    """A part of the listing: paths at a location named by the command.

    A ``folder`` is listed with all folders below it, a ``top`` without them. The other kinds are ``files``, and
    ``known`` for files whose existence is not checked.
    """

    kind: str
    location: str
    paths: tuple[str, ...]


def read_track_ids(location: str) -> list[str]:
    """Return the sorted track ids at the start of the lines of a file.

    Raises `UserError` for a line without one. White space and quotes around an id are ignored; it ends at ``<SEP>``, a
    tab, comma or semicolon. Empty lines and comments are ignored.
    """
    ids = set()
    for line in read_lines(location):
        text = line.text.strip()
        if not text or text.startswith(COMMENT):
            continue
        track_id = re.split("<SEP>|[\t,;]", text)[0].strip(" '\"")
        if not TRACK_ID.fullmatch(track_id):
            raise UserError(f"{location}, line {line.number}: {text[:60]!r} does not begin with a track id; remove it")
        ids.add(track_id)
    if not ids:
        raise UserError(f"{location} has no track id")
    return sorted(ids)


def plan_listing(settings: IngestSettings) -> list[Task]:
    """Return the tasks that together list everything to be ingested."""
    if settings.track_ids is not None:
        base = settings.locations[0].rstrip("/")
        ids = read_track_ids(settings.track_ids)
        if is_local(base) and os.path.isfile(local_path(base)):
            raise UserError(f"--track-ids needs a folder of song files, and --songs {base} is a file; name its folder")
        return _file_tasks("known", base, [f"{base}/{song_path(track_id)}" for track_id in ids])
    locations, files = [("", location) for location in settings.locations], set[str]()
    for listed in read_lines(settings.manifest) if settings.manifest is not None else ():
        line, place = listed.text.strip(), f"{settings.manifest}, line {listed.number}: "
        with _naming(place):
            location = _location_in(line)
            if location and track_id_of(location):
                files.add(_absolute(location))
            elif location:
                locations.append((place, location))
    places: dict[str, str] = {}
    for place, location in locations:
        with _naming(place):
            for match in _expand(location) if _is_glob(location) else [location]:
                places.setdefault(_absolute(match), place)
    tasks = []
    for location in _without_nested(places):
        with _naming(places[location]):
            tasks += _location_tasks(location)
    return tasks + _file_tasks("files", settings.manifest or "", sorted(files))


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Prefix errors with the line of the manifest that they concern."""
    try:
        yield
    except (UserError, OSError) as error:
        raise UserError(f"{place}{error}") from error


def _location_in(line: str) -> str:
    """Return the location in a line of a manifest, without quotes; empty if there is none."""
    if line.startswith(COMMENT):
        return ""
    if re.search("[\0-\x1f]", line):
        raise UserError(f"{line[:60]!r} has control characters; write one location per line")
    if line[:1] in ('"', "'"):
        if len(line) < 3 or line[-1] != line[0]:
            raise UserError(
                f"{line[:60]!r} begins with a quote, but is no location in quotes; remove the quote, or write ./ "
                "before a name that begins with it"
            )
        return line[1:-1]
    return line


def list_units(context: SparkContext, settings: IngestSettings, tasks: list[Task]) -> list[Unit]:
    """Carry out listing tasks; return the units found, sorted by their first input."""
    n_slices = max(1, min(len(tasks), LISTING_TASKS_PER_CORE * context.defaultParallelism))
    listed = context.parallelize(tasks, n_slices).flatMap(partial(_units, settings)).collect()
    units = {unit.name: unit for unit in listed}
    if all(unit.kind is Kind.SKIPPED for unit in listed):
        skipped = Counter(skip_reason(item.source) for unit in listed for item in unit.inputs)
        others = "".join(f"; {count:,} files skipped as {reason}" for reason, count in skipped.most_common())
        places = ", ".join(settings.locations) or settings.manifest
        remedy = "name another location (--songs), or the files themselves if they have metadata"
        raise UserError(f"no song file, archive or aggregate in {places}{others}; {remedy}")
    return sorted(units.values(), key=lambda unit: unit.inputs[0])


def _file_tasks(kind: str, location: str, paths: list[str]) -> list[Task]:
    starts = range(0, len(paths), FILES_PER_TASK)
    return [Task(kind, location, tuple(paths[start : start + FILES_PER_TASK])) for start in starts]


def _is_glob(location: str) -> bool:
    return any(mark in location for mark in GLOB_MARKS)


def _expand(pattern: str) -> list[str]:
    """Return the matches of a glob, level by level; only folders that match so far are listed."""
    filesystem, path, prefix = open_location(pattern)
    if filesystem.get_file_info(path).type != fs.FileType.NotFound:
        return [pattern]  # the marks are part of a name
    root = "/" if path.startswith("/") else ""
    matches = [""]
    for part in path.removeprefix(root).split("/"):
        if _is_glob(part):
            below = [(base, name) for base in matches for name, _ in list_folder(filesystem, root + base)]
            matches = sorted(
                f"{base}/{name}".lstrip("/") for base, name in below if name == part or fnmatch(name, part)
            )
        else:
            matches = [f"{base}/{part}".lstrip("/") for base in matches]
    infos = filesystem.get_file_info([root + name for name in matches])
    existing = [prefix + info.path for info in infos if info.type != fs.FileType.NotFound]
    if not existing:
        raise UserError(f"nothing matches {pattern}")
    return existing


def _without_nested(locations: Iterable[str]) -> list[str]:
    """Remove absolute locations that lie in another one, so that no file is listed twice."""
    outer: list[str] = []
    for location in sorted(locations):
        if not any(location == other or location.startswith(f"{other}/") for other in outer):
            outer.append(location)
    return outer


def _absolute(location: str) -> str:
    _, path, prefix = open_location(location)
    return prefix + path


def _location_tasks(location: str) -> list[Task]:
    """Return the tasks that list a location: one per folder of the first level that has several."""
    filesystem, path, prefix = open_location(location)
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise UserError(
            f"no {location}; --songs takes folders, song files, archives, aggregate files, files of metadata (.db, "
            ".csv, .parquet) and globs of them"
        )
    if info.type != fs.FileType.Directory:
        return [Task("files", location, (location,))]
    if path.endswith(PARQUET_FOLDER):
        return _file_tasks("files", location, [prefix + file.path for file in walk(filesystem, path, (".parquet",))])
    folder = path
    while True:
        below = list_folder(filesystem, folder)
        folders = [f"{folder}/{name}" for name, is_folder in below if is_folder]
        if len(folders) != 1 or len(below) > 1:
            break
        folder = folders[0]
    tasks = [Task("top", location, (prefix + folder,))]
    return tasks + [Task("folder", location, (prefix + folder,)) for folder in folders]


def _units(settings: IngestSettings, task: Task) -> Iterator[Unit]:
    loose: list[SongInput] = []
    skipped: list[SongInput] = []
    archives = {Content.TAR: Kind.TAR, Content.ZIP: Kind.ZIP}
    for item in _inputs(task):
        content = content_of(item.source)
        if task.kind == "files" and item.size >= 0 and format_of(item.source):
            yield from units_of(task.location, item)
        elif content in archives:
            yield Unit.of(archives[content], task.location, [item])
        elif content is Content.OTHER and (is_system_file(item.source) or task.kind not in ("files", "known")):
            # Only its name counts, so that a changed one is no change of the songs.
            skipped.append(SongInput(item.source, -1, 0))
        elif task.kind == "known" or track_id_of(item.source) or item.size < 0:
            loose.append(item)
        else:
            summaries = settings.summaries == "rows" or task.kind == "files"
            units = list(_aggregate_units(task.location, item, summaries=summaries))
            yield from units
            if not units:
                loose.append(item)
    yield from split_into_units(task.location, loose, settings.inputs_per_unit)
    yield from split_into_units(task.location, skipped, FILES_PER_TASK, Kind.SKIPPED)


def _aggregate_units(location: str, item: SongInput, *, summaries: bool) -> Iterator[Unit]:
    """Yield the units of an aggregate or summary file; none if it is not such a file.

    `summaries` is whether the rows of a summary file are read.
    """
    filesystem, path, _ = open_location(item.source)
    try:
        if isinstance(filesystem, fs.LocalFileSystem):
            check_regular(path)
        with open_seekable(filesystem, path) as file:
            description = describe(cast(IO[bytes], file))
    except OSError:
        return
    if description in (None, (1, True)):
        return
    n_songs, has_arrays = description
    if not 0 < n_songs <= item.size // MIN_SONG_BYTES:
        return
    if not has_arrays and not summaries:
        yield Unit.of(Kind.SUMMARY, location, [item], 0, 1)
        return
    if not has_arrays:
        starts = range(0, n_songs, METADATA_ROWS)
        parts = [Part(start, min(start + METADATA_ROWS, n_songs)) for start in starts]
        yield from units_of_parts(location, item, parts)
        return
    for start in range(0, n_songs, ROWS_PER_UNIT):
        yield Unit.of(Kind.AGGREGATE, location, [item], start, min(start + ROWS_PER_UNIT, n_songs))


def _inputs(task: Task) -> Iterator[SongInput]:
    """Yield the files of a task."""
    if task.kind == "known":
        yield from (SongInput(path, -1, 0) for path in task.paths)
    elif task.kind == "files":
        for path in task.paths:
            filesystem, inner, _ = open_location(path)
            info = filesystem.get_file_info(inner)
            # A missing file is an input too: reading it rejects it.
            yield SongInput(path, info.size, info.mtime_ns or 0) if info.is_file else SongInput(path, -1, 0)
    else:
        filesystem, inner, prefix = open_location(task.paths[0])
        for file in walk(filesystem, inner, deep=task.kind == "folder"):
            yield SongInput(prefix + file.path, file.size, file.modified)
