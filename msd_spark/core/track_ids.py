"""Track ids, and the names of song files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

SONG_FILE_SUFFIX = ".h5"

SONG_FILE = re.compile(r"\.(h5|hdf5)(\.(gz|bz2|xz))?\Z", re.IGNORECASE)
"""End of the name of a song file, which may be compressed."""

TRACK_ID = re.compile(r"TR[A-Z0-9]{16}")
"""Form of a track id: ``TRAAAAW128F429D538``."""


def track_id_of(name: str) -> str | None:
    """Return the track id in a file name, None if the name is not a track id.

    Examples
    --------
    >>> track_id_of("A/A/A/TRAAAAW128F429D538.h5")
    'TRAAAAW128F429D538'
    >>> track_id_of("TRAAAAW128F429D538.HDF5.gz")
    'TRAAAAW128F429D538'
    """
    stem = SONG_FILE.sub("", PurePosixPath(name).name)
    return stem if TRACK_ID.fullmatch(stem) else None


def song_path(track_id: str) -> str:
    """Return a track's path in the dataset: folders are the third to fifth letter of its id.

    Examples
    --------
    >>> song_path("TRAXLZU12903D05F94")
    'A/X/L/TRAXLZU12903D05F94.h5'
    """
    return "/".join([*track_id[2:5], track_id + SONG_FILE_SUFFIX])
