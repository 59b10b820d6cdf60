"""The work of Spark's workers: find the neighbours of a block of songs and write them.

All songs reach each machine once, as files that its workers map into memory and so share. A task gets the number of a
block, and needs memory for the block's neighbours and candidates only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow.parquet as pq
from pyspark import SparkContext
from threadpoolctl import threadpool_limits

from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.index import nearest_by_index
from msd_spark.neighbours.space import Space
from msd_spark.spark.shipped_files import ship, shipped_folder

IDS, INDEX = "track_ids.npy", "index.faiss"


@dataclass(frozen=True)
class Shipped:
    """The songs as files on every machine.

    Attributes
    ----------
    prefix : str
        Prefix of the file names.
    metric, reach
        See `msd_spark.neighbours.space.Space`.
    approximate : bool
        Whether there is an index to search by.
    """

    prefix: str
    metric: str
    reach: float
    approximate: bool


def ship_songs(
    context: SparkContext,
    space: Space,
    exclusions: Exclusions,
    track_ids: np.ndarray,
    index: faiss.IndexIVFFlat | None,
) -> Shipped:
    """Send the songs to every machine."""

    def write(folder: Path) -> None:
        space.save(folder)
        exclusions.save(folder)
        np.save(folder / IDS, np.char.encode(track_ids, "utf-8"), allow_pickle=False)
        if index is not None:
            faiss.write_index(index, str(folder / INDEX))

    return Shipped(ship(context, write), space.metric, space.reach, index is not None)


@lru_cache(maxsize=1)
def _received(shipped: Shipped) -> tuple[Space, Exclusions, np.ndarray, faiss.IndexIVFFlat | None]:
    folder, prefix = shipped_folder(), shipped.prefix
    index: Any = None
    if shipped.approximate:
        index = faiss.read_index(str(folder / f"{prefix}{INDEX}"), faiss.IO_FLAG_MMAP)
    space = Space.load(folder, shipped.metric, shipped.reach, prefix)
    track_ids = np.load(folder / f"{prefix}{IDS}", mmap_mode="r", allow_pickle=False)
    return space, Exclusions.load(folder, prefix), track_ids, index


def block_writer(shipped: Shipped, warehouse: str, staging: str, size: int, k: int) -> Callable[[int], tuple[int, int]]:
    """Return the function of a task: write a block; return its number of rows and of songs with fewer than k.

    Parameters
    ----------
    staging : str
        Folder for the files, for the warehouse's filesystem.
    size : int
        Songs per block.
    """

    def work(block: int) -> tuple[int, int]:
        space, exclusions, track_ids, index = _received(shipped)
        rows = np.arange(block * size, min((block + 1) * size, len(space)))
        faiss.omp_set_num_threads(1)
        with threadpool_limits(1):
            vectors = np.asarray(space.vectors[rows])
            if index is None:
                neighbours = nearest(space, vectors, rows, k, exclusions)
            else:
                neighbours = nearest_by_index(space, index, vectors, rows, k, exclusions)
        table = neighbours.rows(track_ids, block * size)
        target = Warehouse(warehouse)
        with target.finished_file(f"{staging}/part-{block:06d}.parquet") as unfinished:
            pq.write_table(table, unfinished, filesystem=target.filesystem, compression="zstd")
        return table.num_rows, int((neighbours.places[:, -1] < 0).sum())

    return work
