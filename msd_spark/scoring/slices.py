"""Divide ``songs/`` into slices: consecutive row groups of one file that one task scores."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.core.delta import DataFile
from msd_spark.core.errors import UserError
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.warehouse import READERS, Warehouse

SONGS_PER_SLICE = 512
"""Maximum number of songs in a slice, unless one row group has more."""


@dataclass(frozen=True)
class Slice:
    """Consecutive row groups of a file of ``songs/``.

    `file` is the name of the file within ``songs/``, `size` its bytes, and `rows` the number of songs per row group.
    """

    file: str
    size: int
    row_groups: tuple[int, ...]
    rows: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the slice's file in ``embeddings/RUN``, the same in every run of the job."""
        stem = self.file.removesuffix(".parquet").replace("/", "-")
        return f"{stem}-{self.row_groups[0]:05d}.parquet"


@dataclass(frozen=True)
class SlicedSongs:
    """Every song; those of slice ``i`` are ``borders[i]`` to ``borders[i + 1]``."""

    slices: list[Slice]
    track_ids: pa.Array
    n_segments: np.ndarray
    borders: np.ndarray

    def __len__(self) -> int:
        return len(self.track_ids)

    def slice_of_song(self) -> np.ndarray:
        """Return the number of each song's slice."""
        return np.repeat(np.arange(len(self.slices)), np.diff(self.borders))

    def part(self, number: int) -> slice:
        """Return the songs of a slice."""
        return slice(*self.borders[number : number + 2].tolist())


def cut(rows: Sequence[int], most: int = SONGS_PER_SLICE) -> list[range]:
    """Group consecutive row groups while they have at most `most` songs.

    `rows` is the number of songs in each row group of a file; empty row groups are in no slice.
    """
    parts: list[range] = []
    n_songs = 0
    for group, n in enumerate(rows):
        if not n:
            continue
        if parts and parts[-1].stop == group and n_songs + n <= most:
            parts[-1] = range(parts[-1].start, group + 1)
            n_songs += n
        else:
            parts.append(range(group, group + 1))
            n_songs = n
    return parts


def slice_songs(warehouse: Warehouse, most: int = SONGS_PER_SLICE) -> SlicedSongs:
    """Read the track ids of ``songs/``, and divide it into slices; a repeated track is an error."""
    columns = ["track_id", "n_segments"]

    def read(data: DataFile) -> tuple[list[Slice], pa.Table]:
        file = RowGroups(warehouse.filesystem, warehouse.path("songs", data.name))
        table = file.fetch(columns).read(columns, use_threads=False)
        parts = cut(file.rows, most)
        return [Slice(data.name, data.size, tuple(part), tuple(file.rows[i] for i in part)) for part in parts], table

    with ThreadPoolExecutor(READERS) as pool:
        parts = list(pool.map(read, warehouse.snapshot("songs").files))
    slices = [item for of_file, _ in parts for item in of_file]
    track_ids = pa.concat_arrays(
        [pa.array([], pa.string()), *(chunk for _, table in parts for chunk in table["track_id"].chunks)]
    )
    n_segments = [table["n_segments"].to_numpy() for _, table in parts]
    counts = pc.value_counts(track_ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        track, count = repeated[0]["values"], repeated[0]["counts"]
        raise UserError(f"songs/ has {track} {count} times; run msd-spark ingest again")
    borders = np.cumsum([0, *(sum(item.rows) for item in slices)], dtype=np.int64)
    return SlicedSongs(slices, track_ids, np.concatenate([np.empty(0, np.int32), *n_segments]), borders)
