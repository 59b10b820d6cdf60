"""Track ids, and the names of song files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

SONG_FILE_SUFFIX = ".h5"

TRACK_ID = re.compile(r"TR[A-Z0-9]{16}")
"""Form of a track id: ``TRAAAAW128F429D538``."""


def track_id_of(name: str) -> str | None:
    """Return the track id in a file name, None if the name is not a track id.

    Examples
    --------
    >>> track_id_of("A/A/A/TRAAAAW128F429D538.h5")
    'TRAAAAW128F429D538'
    """
    stem = PurePosixPath(name).name.removesuffix(SONG_FILE_SUFFIX)
    return stem if TRACK_ID.fullmatch(stem) else None


def song_path(track_id: str) -> str:
    """Return a track's path in the dataset: folders are the third to fifth letter of its id.

    Examples
    --------
    >>> song_path("TRAXLZU12903D05F94")
    'A/X/L/TRAXLZU12903D05F94.h5'
    """
    return "/".join([*track_id[2:5], track_id + SONG_FILE_SUFFIX])
