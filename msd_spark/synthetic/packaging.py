"""Songs packed as loose files, as tar shards, as aggregate files and as summary files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import h5py
from isal import igzip

from msd_spark.core.song_layout import ARRAYS, TABLES
from msd_spark.synthetic.catalogue import Catalogue
from msd_spark.synthetic.chunks import Appender
from msd_spark.synthetic.metadata import SongFile, song_file
from msd_spark.synthetic.names import song_path
from msd_spark.synthetic.song_image import song_image
from msd_spark.synthetic.template import create_layout, set_row_count

FILES_FOLDER, TAR_FOLDER, AGGREGATE_FOLDER, SUMMARY_FOLDER = "songs", "tar", "aggregate", "summary"
_TAR_TIME = 1293840000  # 1 January 2011: members carry one date, so that bytes do not depend on the clock


def write_files(catalogue: Catalogue, tracks: Iterable[int], output: Path) -> int:
    """Write songs as ``songs/A/B/C/TRABC….h5``.

    Returns
    -------
    int
        Bytes written.
    """
    written = 0
    for track in tracks:
        path = output / FILES_FOLDER / song_path(catalogue.track_id(track))
        path.parent.mkdir(parents=True, exist_ok=True)
        written += path.write_bytes(song_image(song_file(catalogue, track)))
    return written


def shard_tracks(catalogue: Catalogue) -> dict[str, list[int]]:
    """Group the tracks into shards, by the first letter after ``TR``, each in the order of ids."""
    shards: dict[str, list[int]] = {}
    for _, track in sorted((name, track) for track, name in enumerate(catalogue.track_ids)):
        shards.setdefault(catalogue.track_ids[track][2], []).append(track)
    return shards


def write_tar(catalogue: Catalogue, tracks: Iterable[int], path: Path) -> int:
    """Write songs as a tar file of ``A/B/C/TRABC….h5``, gzipped where `path` ends in ``.gz``.

    Folders are members too, as in the official shards. Returns the bytes written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            # Songs are compressed already: the lowest level costs least and packs as well.
            packed: IO[bytes] = igzip.IGzipFile("", "wb", 0, raw, mtime=_TAR_TIME)  # type: ignore[assignment]
            with packed:
                _fill_tar(catalogue, tracks, packed)
        else:
            _fill_tar(catalogue, tracks, raw)
    return path.stat().st_size


def _fill_tar(catalogue: Catalogue, tracks: Iterable[int], stream: IO[bytes]) -> None:
    with tarfile.open(mode="w|", fileobj=stream, format=tarfile.USTAR_FORMAT) as archive:
        folders: set[str] = set()
        for track in tracks:
            name = song_path(catalogue.track_id(track))
            for depth in (1, 3, 5):  # A, A/B, A/B/C
                if name[:depth] not in folders:
                    folders.add(name[:depth])
                    archive.addfile(_member(name[:depth], tarfile.DIRTYPE, 0o755, 0))
            image = song_image(song_file(catalogue, track))
            archive.addfile(_member(name, tarfile.REGTYPE, 0o644, len(image)), io.BytesIO(image))


def _member(name: str, kind: bytes, mode: int, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.mtime = kind, mode, size, _TAR_TIME
    return member


def write_many(songs: Iterable[SongFile], path: Path, with_arrays: bool = True) -> int:
    """Write many songs as one file of the same layout, as MSongsDB's `create_aggregate_file` does.

    Parameters
    ----------
    songs : iterable of SongFile
        One at a time; memory holds one song and a chunk of each dataset.
    path : Path
        The file to write.
    with_arrays : bool
        False for a summary file: the tables alone, with all pointers 0.

    Returns
    -------
    int
        Bytes written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver=("earliest", "latest")) as file:
        create_layout(file, with_arrays)
        tables = {table.group: Appender(file, table) for table in TABLES}
        arrays = {array: Appender(file, array) for array in ARRAYS} if with_arrays else {}
        count = 0
        for song in songs:
            rows = {group: row.copy() for group, row in song.rows.items()}
            for array, appender in arrays.items():
                rows[array.group][array.index_column] = appender.count
                values = song.arrays.get(array.path)
                if values is not None and len(values):
                    appender.append(values)
            for group, row in rows.items():
                tables[group].append(row)
            count += 1
        for appender in (*tables.values(), *arrays.values()):
            appender.finish()
        set_row_count(file, count)
    return path.stat().st_size
