"""The songs of ``songs/`` cut into slices: row groups of one file that one task scores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.catalogue.songs import READERS
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse

SONGS_PER_SLICE = 512
"""Songs that a slice has at most, unless one row group has more."""


@dataclass(frozen=True)
class Slice:
    """Row groups of a file of ``songs/`` that follow each other.

    Attributes
    ----------
    path : str
        The file, for the warehouse's filesystem.
    file : str
        Its name within ``songs/``.
    size : int
        Its bytes.
    row_groups, rows : tuple of int
        The row groups, and the songs of each.
    """

    path: str
    file: str
    size: int
    row_groups: tuple[int, ...]
    rows: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the slice's file of ``embeddings/RUN``: the same in every run of the job."""
        stem = self.file.removesuffix(".parquet").replace("/", "-")
        return f"{stem}-{self.row_groups[0]:05d}.parquet"


@dataclass(frozen=True)
class SlicedSongs:
    """Every song, in the order of the slices.

    Attributes
    ----------
    slices : list of Slice
    track_ids : pyarrow.Array
    n_segments : numpy.ndarray
        Shape ``(n_songs,)``.
    borders : numpy.ndarray
        Shape ``(n_slices + 1,)``: the songs of slice ``i`` are ``borders[i]`` to ``borders[i + 1]``.
    """

    slices: list[Slice]
    track_ids: pa.Array
    n_segments: np.ndarray
    borders: np.ndarray

    def __len__(self) -> int:
        return len(self.track_ids)

    def slice_of_song(self) -> np.ndarray:
        """Return the number of each song's slice."""
        return np.repeat(np.arange(len(self.slices)), np.diff(self.borders))


def cut(rows: list[int], most: int = SONGS_PER_SLICE) -> list[range]:
    """Return row groups that follow each other, put together as long as they have at most `most` songs.

    Parameters
    ----------
    rows : list of int
        Songs of each row group of a file; those without any are in no slice.
    most : int
    """
    parts: list[range] = []
    held = 0
    for group, n in enumerate(rows):
        if not n:
            continue
        if parts and parts[-1].stop == group and held + n <= most:
            parts[-1] = range(parts[-1].start, group + 1)
            held += n
        else:
            parts.append(range(group, group + 1))
            held = n
    return parts


def slice_songs(warehouse: Warehouse, most: int = SONGS_PER_SLICE) -> SlicedSongs:
    """Read which songs there are, and cut them into slices.

    Raises
    ------
    UserError
        When ``songs/`` is not whole, or has a track twice.
    """
    warehouse.require("songs")
    files = warehouse.table_files("songs")
    root = warehouse.path("songs") + "/"

    def read(path: str, size: int) -> tuple[list[Slice], pa.Table]:
        with warehouse.filesystem.open_input_file(path) as source:
            file = pq.ParquetFile(source, pre_buffer=not warehouse.is_local)
            table = file.read(["track_id", "n_segments"], use_threads=False)
            rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        name = path.removeprefix(root)
        return [
            Slice(path, name, size, tuple(part), tuple(rows[part.start : part.stop])) for part in cut(rows, most)
        ], table

    with ThreadPoolExecutor(READERS) as pool:
        parts = list(pool.map(read, files.paths, files.sizes))
    slices = [item for found, _ in parts for item in found]
    tables = [table for _, table in parts]
    track_ids = pa.concat_arrays(
        [chunk for table in tables for chunk in table["track_id"].chunks] or [pa.array([], pa.string())]
    )
    n_segments = [table["n_segments"].to_numpy() for table in tables]
    counts = pc.value_counts(track_ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise UserError(f"songs/ has {twice[0]['values']} {twice[0]['counts']} times; run jobs/ingest.py again")
    borders = np.r_[0, np.cumsum([sum(item.rows) for item in slices], dtype=np.int64)].astype(np.int64)
    return SlicedSongs(slices, track_ids, np.concatenate([np.empty(0, np.int32), *n_segments]), borders)
