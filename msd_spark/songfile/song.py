"""A parsed song, and the checks that all readers of song files share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from msd_spark.core.errors import InputError
from msd_spark.core.schemas import SENTINELS
from msd_spark.core.song_layout import ARRAYS

Song = dict[str, Any]
"""A song by column of ``songs/`` (all but ``source``): scalars as Python values or None, arrays as numpy."""

SEGMENT_ARRAYS = tuple(array for array in ARRAYS if array.name.startswith("segments_"))


class SongFileError(InputError):
    """A file that is not a valid song file.

    Reasons: ``empty_file``, ``not_hdf5``, ``truncated``, ``missing_data``, ``wrong_layout``, ``not_one_song``,
    ``unsupported_filter``, ``implausible_size``, ``unreadable_data``, ``cannot_be_decompressed``,
    ``bad_pointer``, ``length_mismatch``, ``not_finite``, ``no_track_id``, ``track_id_mismatch``.
    """


def text(value: bytes) -> str:
    """Decode a string of a song file: UTF-8 or else Latin-1, although declared as ASCII."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def scalar(name: str, value: Any) -> str | float | None:
    """Return the value of a column from bytes or a numpy number, None if it means "unknown"."""
    if isinstance(value, bytes):
        return text(value) or None
    number: float = value.item()
    return None if number != number or number in SENTINELS.get(name, ()) else number


def check_song(song: Song, expected_track_id: str | None) -> None:
    """Check a song's track id, and that its segment arrays are finite and of one length.

    Raises a `SongFileError` with ``no_track_id``, ``track_id_mismatch``, ``length_mismatch`` or ``not_finite``.
    """
    if not song["track_id"]:
        raise SongFileError("no_track_id", "analysis/songs has an empty track_id")
    if expected_track_id and song["track_id"] != expected_track_id:
        raise SongFileError(
            "track_id_mismatch", f"the file name has {expected_track_id}, track_id is {song['track_id']}"
        )
    n_segments = len(song["segments_start"])
    with np.errstate(over="ignore", invalid="ignore"):
        for array in SEGMENT_ARRAYS:
            values = song[array.name]
            rows = len(values) // (array.width or 1)
            if rows != n_segments:
                raise SongFileError("length_mismatch", f"{array.name} has {rows} rows, segments_start {n_segments}")
            if not _all_finite(values):
                raise SongFileError("not_finite", f"{array.name} has NaN or infinite values")


def _all_finite(values: np.ndarray) -> bool:
    # NaN and infinity persist in a sum, so one pass suffices for nearly every array; finite values may overflow it.
    return math.isfinite(np.add.reduce(values)) or bool(np.isfinite(values).all())
