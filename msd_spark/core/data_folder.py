"""The data folder: the path of each source, by the file names of the official downloads."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from msd_spark.core.errors import UserError

DEFAULT_DATA = "./data"
"""The data folder if no other is given."""

DATA_HELP = "data folder, as msd-spark fetch lays it out; used for the inputs that no option names"

LABELS = {
    "cd1": ("tagtraum", r"msd_tagtraum_cd1.*\.cls"),
    "cd2": ("tagtraum", r"msd_tagtraum_cd2\.cls"),
    "cd2c": ("tagtraum", r"msd_tagtraum_cd2c\.cls"),
    "magd": ("magd", r"(msd[-_])?magd[-_].*\.(cls|tsv)"),
    "topmagd": ("magd", r"(msd[-_])?topmagd[-_].*\.(cls|tsv)"),
    "masd": ("magd", r"(msd[-_])?masd[-_].*\.(cls|tsv)"),
}
"""Folder and file name pattern of each label set; MAGD files are spelled in several ways."""

ADDITIONAL = "additional"
"""Folder of the official lists, most of which no stage reads."""

FILES = {
    "bags_train": ("musixmatch", r"mxm_dataset_train.*\.txt"),
    "bags_test": ("musixmatch", r"mxm_dataset_test.*\.txt"),
    "reverse_mapping": ("musixmatch", r"mxm_reverse_mapping.*\.txt"),
    "triplets": ("tasteprofile", r"train_triplets.*\.txt"),
    "triplets as CSV": ("tasteprofile", r"train_triplets.*\.csv"),
    "mismatches": ("tasteprofile", r"sid_mismatches.*\.txt"),
    "duplicates": (ADDITIONAL, r"msd_duplicates.*\.txt"),
}
"""Folder and file name pattern of each other text file."""

SOURCES = LABELS | FILES

METADATA = (
    r"msd_summary_file.*\.h5",
    r"track_metadata.*\.(db|parquet|csv|tsv)",
    r"subset_msd_summary_file.*\.h5",
    r"subset_track_metadata.*\.db",
)
"""File name patterns of the metadata of songs, all in `ADDITIONAL`; those with most columns and songs come first."""

SONG_FOLDERS = ("songs", "broken")
TAGS = "lastfm"
DATABASE = r"lastfm_tags.*\.db"

LOOKS_LIKE_A_SOURCE = r"mxm|tagtraum|ma[gs]d|triplets|mismatches|lastfm|tags|\.(cls|db)\b"
"""Pattern in the name of a file that may be meant as a source."""

COMPRESSED = r"\.(zip|gz|bz2|xz)"


@dataclass(frozen=True)
class DataFolder:
    """Locations of the sources in a data folder; None or empty where a source is missing.

    Attributes
    ----------
    folder : str
        A local path, or an address such as ``s3://bucket/prefix``.
    songs : tuple of str
        Folders of song files.
    bags_train, bags_test : str or None
        musiXmatch files, plain or compressed.
    labels : mapping of str to str
        Label files by label set.
    tags : tuple of str
        Last.fm tags: the database, or zip archives, or a folder of JSON files.
    metadata : str or None
        Metadata of songs that may have no song file: ``msd_summary_file.h5`` or else ``track_metadata.db``.
    """

    folder: str
    songs: tuple[str, ...] = ()
    bags_train: str | None = None
    bags_test: str | None = None
    reverse_mapping: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    triplets: str | None = None
    mismatches: str | None = None
    duplicates: str | None = None
    metadata: str | None = None

    @classmethod
    def find(cls, folder: str | os.PathLike[str]) -> DataFolder:
        """Find the sources in a data folder; a missing folder has none."""
        from msd_spark.core.filesystems import is_local, local_path  # --help imports this module, and needs no pyarrow

        folder = os.fspath(folder)
        folder = os.path.normpath(local_path(folder)) if is_local(folder) else folder.rstrip("/")
        texts = {place for place, _ in (*LABELS.values(), *FILES.values())}
        inside = {place: _entries(_join(folder, place)) for place in sorted(texts)}
        first = {name: partial(_first, inside[place], _join(folder, place)) for name, (place, _) in SOURCES.items()}
        files = {name: first[name](pattern) for name, (_, pattern) in FILES.items()}
        there = _entries(folder)
        additional = inside[ADDITIONAL], _join(folder, ADDITIONAL)
        metadata = (_first(*additional, pattern, compressed="") for pattern in METADATA)
        return cls(
            folder,
            tuple(_join(folder, name) for name in SONG_FOLDERS if there.get(name) is False),
            files["bags_train"],
            files["bags_test"],
            files["reverse_mapping"],
            {name: file for name, (_, pattern) in LABELS.items() if (file := first[name](pattern))},
            _tags(_join(folder, TAGS)),
            files["triplets"] or files["triplets as CSV"],
            files["mismatches"],
            files["duplicates"],
            next(filter(None, metadata), None),
        )

    def unrecognised(self) -> list[str]:
        """Return the files and folders that look like a source but are not read."""
        patterns = [(place, f"{pattern}({COMPRESSED})?") for place, pattern in SOURCES.values()]
        patterns += [(TAGS, DATABASE), (TAGS, r".*\.zip")]
        folders = {place for place, _ in patterns}
        there = _entries(self.folder)
        listed = {"": there} | {place: _entries(_join(self.folder, place)) for place in folders - {ADDITIONAL}}
        unread = [
            _join(self.folder, place, name)
            for place, entries in listed.items()
            for name, is_file in entries.items()
            if is_file
            and not name.startswith(".")
            and re.search(LOOKS_LIKE_A_SOURCE, name, re.IGNORECASE)
            and not any(of == place and re.fullmatch(pattern, name, re.IGNORECASE) for of, pattern in patterns)
        ]
        known = folders.union(SONG_FOLDERS)
        misspelt = (_join(self.folder, name) for name in there if name not in known and name.lower() in known)
        return sorted([*unread, *misspelt])

    def missing(self, contents: str, source: str, option: str) -> UserError:
        """Return the error for a source that is not in the folder.

        `contents` is what is missing, such as ``song files``; `source` its name for ``msd-spark fetch``; `option` takes
        another path.
        """
        command = shlex.join(["msd-spark", "fetch", *source.split(), "--to", self.folder])
        if "://" in self.folder:
            command = shlex.join(["msd-spark", "fetch", *source.split(), "--to", DEFAULT_DATA]) + " and upload it"
        return UserError(f"no {contents} in {self.folder}; run {command}, or give {option}")


def _join(folder: str, *names: str) -> str:
    """Return the location of a file or folder below a folder; empty names are left out."""
    return "/".join([folder.rstrip("/"), *filter(None, names)])


def _entries(folder: str) -> dict[str, bool]:
    """Return whether each file or folder in a folder is a file, by name; nothing for a missing folder."""
    from msd_spark.core.filesystems import is_local, open_location

    if is_local(folder):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            return {entry.name: not entry.is_dir() for entry in entries}
        return {}
    from pyarrow import fs

    filesystem, path, _ = open_location(folder)
    infos = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return {info.base_name: info.type == fs.FileType.File for info in infos if info.base_name}


def _tags(folder: str) -> tuple[str, ...]:
    """Return the locations of Last.fm's tags; each of the three forms has all tags."""
    entries = _entries(folder)
    database = _first(entries, folder, DATABASE, "")
    if database:
        return (database,)
    zips = tuple(_join(folder, name) for name in sorted(entries) if name.lower().endswith(".zip"))
    return zips or ((folder,) if any(not is_file for is_file in entries.values()) else ())


def _first(entries: Mapping[str, bool], folder: str, pattern: str, compressed: str = COMPRESSED) -> str | None:
    """Return the first file in a folder whose name matches a pattern, ignoring letter case.

    `compressed` is a pattern for a further ending, which may be missing.
    """

    def rank(name: str) -> tuple[bool, int, str]:
        # The plain name precedes its variants (mxm_dataset_test.truncated.txt); compressed files are last.
        return re.search(f"{COMPRESSED}$", name, re.IGNORECASE) is not None, len(name), name

    names = re.compile(f"{pattern}({compressed})?", re.IGNORECASE)
    first = min((name for name in entries if names.fullmatch(name)), key=rank, default=None)
    return _join(folder, first) if first else None
