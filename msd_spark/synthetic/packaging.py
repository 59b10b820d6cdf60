"""Write songs as one file each, as tar archives, and as aggregate and summary files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import h5py
from isal import igzip

from msd_spark.core.song_layout import ARRAYS, TABLES
from msd_spark.core.track_ids import song_path
from msd_spark.synthetic.catalogue import Catalogue
from msd_spark.synthetic.chunks import Appender
from msd_spark.synthetic.metadata import song_file
from msd_spark.synthetic.song_image import song_image
from msd_spark.synthetic.template import create_layout, set_row_count

FILES_FOLDER, TAR_FOLDER = "songs", "tar"
_TAR_TIME = 1293840000  # 1 January 2011; one date for all members, since bytes must not depend on the clock


def write_files(catalogue: Catalogue, output: Path, tracks: Iterable[int]) -> dict[str, int]:
    """Write songs as ``songs/A/B/C/TRABC….h5``."""
    for track in tracks:
        path = output / FILES_FOLDER / song_path(catalogue.track_id(track))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(song_image(song_file(catalogue, track)))
    return {}


def shard_tracks(catalogue: Catalogue) -> dict[str, list[int]]:
    """Return the tracks of each tar archive, by the first letter after ``TR``, sorted by id."""
    shards: dict[str, list[int]] = {}
    for name, track in sorted((name, track) for track, name in enumerate(catalogue.track_ids)):
        shards.setdefault(name[2], []).append(track)
    return shards


def write_tar(catalogue: Catalogue, output: Path, name: str, tracks: Iterable[int]) -> dict[str, int]:
    """Write songs and their folders to a tar file, gzipped if `name` ends in ``.gz``."""
    path = output / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            # The lowest level is the fastest, and songs are already compressed.
            packed: IO[bytes] = igzip.IGzipFile("", "wb", 0, raw, mtime=_TAR_TIME)  # type: ignore[assignment]
            with packed:
                _fill_tar(catalogue, tracks, packed)
        else:
            _fill_tar(catalogue, tracks, raw)
    return {"tar archives": 1}


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


def write_many(
    catalogue: Catalogue, output: Path, name: str, tracks: Iterable[int], with_arrays: bool
) -> dict[str, int]:
    """Write many songs to one file, as MSongsDB's `create_aggregate_file` does.

    Without arrays it is a summary file, with zero as every array index. Memory holds one song and one chunk per
    dataset.
    """
    path = output / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", libver=("earliest", "latest")) as file:
        create_layout(file, with_arrays)
        tables = {table.group: Appender(file, table) for table in TABLES}
        arrays = {array: Appender(file, array) for array in ARRAYS} if with_arrays else {}
        for track in tracks:
            song = song_file(catalogue, track)
            for array, appender in arrays.items():
                song.rows[array.group][array.index_column] = appender.count
                values = song.arrays.get(array.path)
                if values is not None and len(values):
                    appender.append(values)
            for group, row in song.rows.items():
                tables[group].append(row)
        for appender in (*tables.values(), *arrays.values()):
            appender.finish()
        set_row_count(file, tables["analysis"].count)
    return {f"{path.parent.name} files": 1}
