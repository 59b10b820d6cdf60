"""Where song files come from: listing them, cutting the work into units, reading one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import PurePosixPath

from pyarrow import fs

from msd_spark.errors import StageError

SONG_FILE_SUFFIX = ".h5"
TRACK_ID = re.compile(r"TR[A-Z0-9]{16}")


@dataclass(frozen=True)
class SongInput:
    """A file that should hold a song.

    Attributes
    ----------
    source : str
        Its path or address.
    size : int
        Bytes.
    modified : int
        Time of its last change, in nanoseconds since 1970.
    """

    source: str
    size: int
    modified: int

    @property
    def expected_track_id(self) -> str | None:
        """The track id in the file's name, or None where the name is no track id."""
        stem = PurePosixPath(self.source).name.removesuffix(SONG_FILE_SUFFIX)
        return stem if TRACK_ID.fullmatch(stem) else None


@dataclass(frozen=True)
class Unit:
    """Inputs that are ingested together: all of them are accounted for, or none.

    Attributes
    ----------
    name : str
        Unique within a run, and the same for the same list of inputs.
    inputs : tuple of SongInput
    """

    name: str
    inputs: tuple[SongInput, ...]

    @property
    def fingerprint(self) -> str:
        """A name for the unit's inputs as they are now: paths, sizes and times of change."""
        digest = hashlib.sha256()
        for item in self.inputs:
            digest.update(f"{item.source}\0{item.size}\0{item.modified}\n".encode())
        return digest.hexdigest()[:32]


def list_song_files(locations: Sequence[str]) -> list[SongInput]:
    """Return every song file under some folders, each once, sorted by path.

    Parameters
    ----------
    locations : sequence of str
        Folders and files, local or remote (``s3://…``, ``hdfs://…``).

    Raises
    ------
    StageError
        When a location is not there, or nothing under any of them is named ``*.h5``.
    """
    found: dict[str, SongInput] = {}
    for location in locations:
        filesystem, path, prefix = locate(location)
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            raise StageError("ingest", f"{location} is not there; --songs takes folders or song files")
        below = [info] if info.is_file else filesystem.get_file_info(fs.FileSelector(path, recursive=True))
        for file in below:
            if file.is_file and file.path.endswith(SONG_FILE_SUFFIX):
                source = prefix + file.path
                found[source] = SongInput(source, file.size, file.mtime_ns or 0)
    if not found:
        raise StageError("ingest", f"no *{SONG_FILE_SUFFIX} file under {', '.join(locations)}")
    return [found[source] for source in sorted(found)]


def cut_into_units(inputs: Iterable[SongInput], inputs_per_unit: int) -> list[Unit]:
    """Cut a list of inputs into units of at most `inputs_per_unit`, in order.

    Raises
    ------
    StageError
        When a unit is to have no input.
    """
    if inputs_per_unit < 1:
        raise StageError("ingest", f"a unit has at least 1 input, not {inputs_per_unit} (--inputs-per-unit)")
    remaining = iter(inputs)
    units: list[Unit] = []
    while chunk := tuple(islice(remaining, inputs_per_unit)):
        units.append(Unit(f"{len(units):06d}", chunk))
    return units


def locate(location: str) -> tuple[fs.FileSystem, str, str]:
    """Return the filesystem of a location, its path there, and what to put before paths to get addresses."""
    if "://" not in location:
        return _filesystem("file:///"), os.path.abspath(location), ""
    scheme, rest = location.split("://", 1)
    bucket = rest.split("/", 1)[0]
    filesystem = _filesystem(f"{scheme}://{bucket}/")
    _, path = fs.FileSystem.from_uri(location)
    return filesystem, path, "" if scheme == "file" else f"{scheme}://"


@lru_cache(maxsize=16)
def _filesystem(uri: str) -> fs.FileSystem:
    return fs.FileSystem.from_uri(uri)[0]


def read_input(item: SongInput) -> bytes:
    """Return the bytes of an input.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    filesystem, path, _ = locate(item.source)
    with filesystem.open_input_stream(path) as stream:
        return stream.read()
