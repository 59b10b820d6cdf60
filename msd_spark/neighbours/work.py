"""What Spark's workers do: find the neighbours of a block of songs and write them.

All songs reach a machine once, as files that its workers map into memory, so that they share
them; a task is told the number of a block, and holds a block's neighbours and a tile of scores.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from pyspark import SparkContext, SparkFiles
from threadpoolctl import threadpool_limits

from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.index import nearest_by_index
from msd_spark.neighbours.space import Space
from msd_spark.neighbours.tables import neighbour_rows

if TYPE_CHECKING:
    import faiss

IDS, INDEX = "track_ids.npy", "index.faiss"


@dataclass(frozen=True)
class Shipped:
    """Where workers find the songs.

    Attributes
    ----------
    prefix : str
        How the names of the files begin that were sent to every machine.
    metric : str
    reach : float
        As of `msd_spark.neighbours.space.Space`.
    approximate : bool
        Whether they search by the index.
    """

    prefix: str
    metric: str
    reach: float
    approximate: bool


def ship(
    context: SparkContext,
    space: Space,
    exclusions: Exclusions,
    track_ids: np.ndarray,
    index: faiss.IndexIVFFlat | None,
) -> Shipped:
    """Send the songs to every machine, once."""
    folder = Path(tempfile.mkdtemp(prefix="msd-spark-neighbours-"))
    # A machine that joins later fetches them too.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    space.save(folder)
    exclusions.save(folder)
    np.save(folder / IDS, np.char.encode(track_ids, "utf-8"), allow_pickle=False)
    if index is not None:
        import faiss

        faiss.write_index(index, str(folder / INDEX))
    # Spark puts the files of all calls into one folder on each machine.
    prefix = uuid.uuid4().hex
    for path in sorted(folder.iterdir()):
        context.addFile(str(path.rename(folder / f"{prefix}-{path.name}")))
    return Shipped(prefix, space.metric, space.reach, index is not None)


@lru_cache(maxsize=1)
def _received(shipped: Shipped) -> tuple[Space, Exclusions, np.ndarray, faiss.IndexIVFFlat | None]:
    folder, prefix = Path(SparkFiles.getRootDirectory()), f"{shipped.prefix}-"
    index: Any = None
    if shipped.approximate:
        import faiss

        faiss.omp_set_num_threads(1)
        index = faiss.read_index(str(folder / f"{prefix}{INDEX}"), faiss.IO_FLAG_MMAP)
    space = Space.load(folder, shipped.metric, shipped.reach, prefix)
    track_ids = np.load(folder / f"{prefix}{IDS}", mmap_mode="r", allow_pickle=False)
    return space, Exclusions.load(folder, prefix), track_ids, index


def block_writer(shipped: Shipped, warehouse: str, staging: str, size: int, k: int) -> Callable[[int], tuple[int, int]]:
    """Return what a task does with a block's number.

    Parameters
    ----------
    shipped : Shipped
    warehouse, staging : str
        The folder, for the warehouse's filesystem, that the files go to.
    size : int
        Songs a block.
    k : int

    Returns
    -------
    callable
        Number of a block to the rows that it wrote and the songs that have fewer than k neighbours.
    """

    def work(block: int) -> tuple[int, int]:
        space, exclusions, encoded, index = _received(shipped)
        rows = np.arange(block * size, min((block + 1) * size, len(space)))
        with threadpool_limits(1):
            vectors = np.asarray(space.vectors[rows])
            if index is None:
                found = nearest(space, vectors, rows, k, exclusions)
            else:
                found = nearest_by_index(space, index, vectors, rows, k, exclusions)
        table = neighbour_rows(encoded, block * size, found)
        target = Warehouse(warehouse)
        with target.finished_file(f"{staging}/part-{block:06d}.parquet") as unfinished:
            pq.write_table(table, unfinished, filesystem=target.filesystem, compression="zstd")
        return table.num_rows, int((found.places[:, -1] < 0).sum())

    return work
