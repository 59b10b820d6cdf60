"""Parse one song file from its bytes.

Files of the dataset are identical except for their values. The first file of a kind is read twice, by h5py and by the
direct reader; if both agree, its structure is remembered (`Skeleton`), and files with the same structure are read
directly. A file that differs in any way is read, or rejected, by h5py.
"""

from __future__ import annotations

import numpy as np

from msd_spark.songfile.direct.reader import read_directly
from msd_spark.songfile.direct.skeleton import Skeleton, find_skeleton
from msd_spark.songfile.direct.structure import Unfamiliar
from msd_spark.songfile.h5py_reader import read_with_h5py
from msd_spark.songfile.song import Song, SongFileError, check_song

__all__ = ["LARGEST_SONG_FILE", "Song", "SongFileError", "parse_song"]

LARGEST_SONG_FILE = 64 << 20
"""Bytes; the largest song file of the dataset has about 2 MiB."""

MOST_SKELETONS = 8
"""Number of structures remembered; all files of the dataset have the same."""

_skeletons: list[Skeleton] = []


def parse_song(image: bytes, expected_track_id: str | None = None) -> Song:
    """Return every field of a song file, by column of ``songs/`` except ``source``.

    Chroma and timbre have shape ``(n_segments * 12,)``; unknown values are None. Raises a `SongFileError` if the bytes
    are not one song in the dataset's layout, or not the song of `expected_track_id` (that in the file name).
    """
    song = _read_known(image)
    if song is None:
        song = read_with_h5py(image)
        _remember(image, song)
    check_song(song, expected_track_id)
    return song


def _read_known(image: bytes) -> Song | None:
    """Return the song of a file with a known structure, None if there is any doubt."""
    for skeleton in _skeletons:
        slots = skeleton.match(image)
        if slots:
            try:
                return read_directly(image, skeleton, *slots)
            except Unfamiliar:
                return None
    return None


def _remember(image: bytes, song: Song) -> None:
    """Remember a file's structure if the direct reader returns the same song as h5py."""
    try:
        skeleton = find_skeleton(image)
        slots = skeleton.match(image)
        agreed = slots is not None and same_song(read_directly(image, skeleton, *slots), song)
    except Unfamiliar:
        return
    if agreed:
        _skeletons[:] = [skeleton, *_skeletons][:MOST_SKELETONS]


def same_song(one: Song, other: Song) -> bool:
    """Return whether two songs are bit-identical, including the order and types of their fields."""
    return list(one) == list(other) and all(_same(one[name], other[name]) for name in one)


def _same(one: object, other: object) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return one.tolist() == other.tolist() if one.dtype == object else one.tobytes() == other.tobytes()
    return one == other
