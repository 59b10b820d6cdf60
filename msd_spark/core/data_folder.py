"""A folder of data: where the sources stand in it, under the names that the dataset's own downloads have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msd_spark.core.errors import StageError

STAGE = "pipeline"

OTHER_LABELS = {
    "cd2": ("tagtraum", r"msd_tagtraum_cd2\.cls"),
    "cd2c": ("tagtraum", r"msd_tagtraum_cd2c\.cls"),
    "magd": ("magd", r"(msd[-_])?magd[-_].*\.(cls|tsv)"),
    "topmagd": ("magd", r"(msd[-_])?topmagd[-_].*\.(cls|tsv)"),
    "masd": ("magd", r"(msd[-_])?masd[-_].*\.(cls|tsv)"),
}
"""Folder and name of the label files besides CD1, by label set; MAGD's come in several spellings."""


@dataclass(frozen=True)
class DataFolder:
    """Where each source stands in a folder of data.

    Attributes
    ----------
    songs : tuple of Path
        Folders of song files.
    bags_train, bags_test, reverse_mapping : Path or None
        The files of musiXmatch; the first two plain or packed.
    labels : Path
        tagtraum's CD1 file.
    other_labels : mapping of str to Path
        Other label files, by label set.
    tags : tuple of Path
        Last.fm's tags: the database, or zips, or a folder of JSON files.
    triplets, mismatches : Path or None
        The Taste Profile's triplets, and its list of tracks that were matched to a wrong song.
    """

    songs: tuple[Path, ...]
    bags_train: Path | None
    bags_test: Path | None
    reverse_mapping: Path | None
    labels: Path
    other_labels: Mapping[str, Path] = field(default_factory=dict)
    tags: tuple[Path, ...] = ()
    triplets: Path | None = None
    mismatches: Path | None = None

    @classmethod
    def find(cls, folder: Path) -> DataFolder:
        """Find the sources in a folder laid out as the README says.

        Raises
        ------
        StageError
            When songs, lyrics or labels are missing.
        """
        songs = tuple(path for name in ("songs", "broken") if (path := folder / name).is_dir())
        lyrics, listens = folder / "musixmatch", folder / "tasteprofile"
        found = cls(
            songs,
            _first(lyrics, "mxm_dataset_train*.txt") or _first(lyrics, "mxm_dataset_train*.txt.*[pz]"),
            _first(lyrics, "mxm_dataset_test*.txt") or _first(lyrics, "mxm_dataset_test*.txt.*[pz]"),
            _first(lyrics, "mxm_reverse_mapping*.txt"),
            _first(folder / "tagtraum", "msd_tagtraum_cd1*.cls") or Path(),
            {name: file for name, place in OTHER_LABELS.items() if (file := _labels(folder / place[0], place[1]))},
            _tags(folder / "lastfm"),
            _first(listens, "train_triplets*.txt") or _first(listens, "train_triplets*.txt.*[pz]"),
            _first(listens, "sid_mismatches*.txt"),
        )
        wanted = {
            "songs/": (folder / "songs").is_dir(),
            "musixmatch/mxm_dataset_train.txt or _test.txt": bool(found.bags_train or found.bags_test),
            "tagtraum/msd_tagtraum_cd1.cls": found.labels != Path(),
        }
        missing = [name for name, there in wanted.items() if not there]
        if missing:
            raise StageError(STAGE, f'{folder} has no {", no ".join(missing)}; see "A folder of data" in the README')
        return found


def _labels(folder: Path, name: str) -> Path | None:
    return min((path for path in folder.glob("*") if re.fullmatch(name, path.name, re.IGNORECASE)), default=None)


def _tags(folder: Path) -> tuple[Path, ...]:
    """Return where Last.fm's tags are; each of the three ways has all of them."""
    database = _first(folder, "lastfm_tags*.db")
    if database:
        return (database,)
    zips = tuple(sorted(folder.glob("*.zip")))
    return zips or ((folder,) if any(path.is_dir() for path in folder.glob("*")) else ())


def _first(folder: Path, pattern: str) -> Path | None:
    # The plain name comes before any variant of it (mxm_dataset_test.truncated.txt).
    return min(folder.glob(pattern), key=lambda path: (len(path.name), path.name), default=None)
