"""Write songs to single files, tar archives, aggregate and summary files; add damaged files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import h5py
import numpy as np
from isal import igzip

from msd_spark.core.song_layout import ARRAYS, TABLES, Array, Table
from msd_spark.core.track_ids import song_path
from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import Catalogue
from msd_spark.synthetic.draws import AnyArray
from msd_spark.synthetic.metadata import song_file
from msd_spark.synthetic.song_image import compressed_chunks, song_image
from msd_spark.synthetic.template import create_layout, set_row_count

FOLDERS = ("songs", "tar", "aggregate", "summary", "broken")
_TAR_TIME = 1293840000  # 1 January 2011; one date for all members, since bytes must not depend on the clock


def write_files(catalogue: Catalogue, output: Path, tracks: Iterable[int]) -> dict[str, int]:
    """Write songs as ``songs/A/B/C/TRABC….h5``."""
    for track in tracks:
        path = output / "songs" / song_path(catalogue.track_id(track))
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


class Appender:
    """Append rows to an empty dataset; memory holds less than one chunk that is not written."""

    def __init__(self, file: h5py.File, item: Table | Array) -> None:
        self.count = 0
        self._dataset = file[item.path].id
        self._chunk = item.chunk
        self._written = 0
        self._pending: list[AnyArray] = []

    def append(self, rows: AnyArray) -> None:
        """Append rows of the dataset's type."""
        self._pending.append(rows)
        self.count += len(rows)
        if self.count - self._written >= self._chunk:
            pending = np.concatenate(self._pending)
            complete = len(pending) // self._chunk * self._chunk
            self._write(pending[:complete])
            self._pending = [pending[complete:]]

    def finish(self) -> None:
        """Write the last, incomplete chunk; nothing can be appended afterwards."""
        if self.count > self._written:
            self._write(np.concatenate(self._pending))

    def _write(self, rows: AnyArray) -> None:
        self._dataset.set_extent((self._written + len(rows), *rows.shape[1:]))
        rest = (0,) * (rows.ndim - 1)
        for number, chunk in enumerate(compressed_chunks(rows, self._chunk)):
            self._dataset.write_direct_chunk((self._written + number * self._chunk, *rest), chunk)
        self._written += len(rows)


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


def _foreign(attributes: dict[str, bytes], datasets: dict[str, AnyArray]) -> bytes:
    """Return an HDF5 file without the groups of a song file."""
    with h5py.File("foreign", "w", driver="core", backing_store=False, libver="earliest") as file:
        for name, value in attributes.items():
            file.attrs[name] = np.bytes_(value)
        for name, values in datasets.items():
            file.create_dataset(name, data=values)
        file.flush()
        return bytes(file.id.get_file_image())


def write_broken(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write HDF5 files that are not song files, a truncated song, plain text and empty files."""
    settings = catalogue.settings
    empty = _foreign({"CLASS": b"GROUP", "PYTABLES_FORMAT_VERSION": b"2.1", "TITLE": b"Test file"}, {})
    other = _foreign({}, {"default": np.sin(np.arange(1000.0) ** 2)})
    song = song_image(song_file(catalogue, 0))
    contents = (empty, other, song[: len(song) // 2], b"not a song file\n", b"")
    for number in range(settings.broken):
        # Ids beyond the largest catalogue, which no song has.
        path = output / "broken" / f"{names.track_id(settings.seed, 2**27 + number)}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % len(contents)])
    return {"broken files": settings.broken}
