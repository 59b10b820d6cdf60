"""The data folder: the path of each source, by the file names of the official downloads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

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

SONG_FOLDERS = ("songs", "broken")
TAGS = "lastfm"
DATABASE = r"lastfm_tags.*\.db"

LOOKS_LIKE_A_SOURCE = r"mxm|tagtraum|ma[gs]d|triplets|mismatches|lastfm|tags|\.(cls|db)\b"
"""Pattern in the name of a file that may be meant as a source."""

COMPRESSED = r"\.(zip|gz|bz2|xz)"


@dataclass(frozen=True)
class DataFolder:
    """Paths of the sources in a data folder; None or empty where a source is missing.

    Attributes
    ----------
    songs : tuple of Path
        Folders of song files.
    bags_train, bags_test : Path or None
        musiXmatch files, plain or compressed.
    labels : mapping of str to Path
        Label files by label set.
    tags : tuple of Path
        Last.fm tags: the database, or zip archives, or a folder of JSON files.
    """

    folder: Path
    songs: tuple[Path, ...] = ()
    bags_train: Path | None = None
    bags_test: Path | None = None
    reverse_mapping: Path | None = None
    labels: Mapping[str, Path] = field(default_factory=dict)
    tags: tuple[Path, ...] = ()
    triplets: Path | None = None
    mismatches: Path | None = None
    duplicates: Path | None = None

    @classmethod
    def find(cls, folder: str | Path) -> DataFolder:
        """Find the sources in a data folder; a missing folder has none."""
        from msd_spark.core.filesystems import local_path  # --help imports this module, and needs no pyarrow

        folder = Path(local_path(str(folder)))
        files = {name: _first(folder / place, pattern) for name, (place, pattern) in FILES.items()}
        return cls(
            folder,
            tuple(path for name in SONG_FOLDERS if (path := folder / name).is_dir()),
            files["bags_train"],
            files["bags_test"],
            files["reverse_mapping"],
            {name: file for name, (place, pattern) in LABELS.items() if (file := _first(folder / place, pattern))},
            _tags(folder / TAGS),
            files["triplets"] or files["triplets as CSV"],
            files["mismatches"],
            files["duplicates"],
        )

    def unrecognised(self) -> list[Path]:
        """Return the files and folders that look like a source but are not read."""
        texts = (*LABELS.values(), *FILES.values())
        patterns = [(place, f"{pattern}({COMPRESSED})?") for place, pattern in texts]
        patterns += [(TAGS, DATABASE), (TAGS, r".*\.zip")]
        folders = {place for place, _ in patterns}
        looked_in = (".", *folders - {ADDITIONAL})
        files = [path for place in looked_in for path in (self.folder / place).glob("[!.]*") if path.is_file()]
        unread = [
            path
            for path in files
            if re.search(LOOKS_LIKE_A_SOURCE, path.name, re.IGNORECASE)
            and not any(_has_name(path, self.folder / place, pattern) for place, pattern in patterns)
        ]
        known = folders.union(SONG_FOLDERS)
        misspelt = (path for path in self.folder.glob("*") if path.name not in known and path.name.lower() in known)
        return sorted([*unread, *misspelt])

    def missing(self, contents: str, source: str, option: str) -> UserError:
        """Return the error for a source that is not in the folder.

        `contents` is what is missing, such as ``song files``; `source` its name for ``msd-spark fetch``; `option` takes
        another path.
        """
        command = shlex.join(["msd-spark", "fetch", *source.split(), "--to", str(self.folder)])
        return UserError(f"no {contents} in {self.folder}; run {command}, or give {option}")


def _has_name(path: Path, folder: Path, pattern: str) -> bool:
    return path.parent == folder and re.fullmatch(pattern, path.name, re.IGNORECASE) is not None


def _tags(folder: Path) -> tuple[Path, ...]:
    """Return the paths of Last.fm's tags; each of the three forms has all tags."""
    database = _first(folder, DATABASE, "")
    if database:
        return (database,)
    zips = tuple(sorted(path for path in folder.glob("*") if path.suffix.lower() == ".zip"))
    return zips or ((folder,) if any(path.is_dir() for path in folder.glob("*")) else ())


def _first(folder: Path, pattern: str, compressed: str = COMPRESSED) -> Path | None:
    """Return the first file in a folder whose name matches a pattern, ignoring letter case.

    `compressed` is a pattern for a further ending, which may be missing.
    """

    def rank(path: Path) -> tuple[bool, int, str]:
        # The plain name precedes its variants (mxm_dataset_test.truncated.txt); compressed files are last.
        return re.search(f"{COMPRESSED}$", path.name, re.IGNORECASE) is not None, len(path.name), path.name

    names = re.compile(f"{pattern}({compressed})?", re.IGNORECASE)
    return min((path for path in folder.glob("*") if names.fullmatch(path.name)), key=rank, default=None)
