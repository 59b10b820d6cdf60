"""Find the neighbours of blocks of songs on Spark's workers, and write them.

All songs reach each machine once, as files that its workers map into memory and so share. A task gets the number of a
block, and needs memory for the block's neighbours and candidates only.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from pyspark.sql import SparkSession
from threadpoolctl import threadpool_limits

from msd_spark.core.delta import DataFile, TableWriter
from msd_spark.neighbours.exact import nearest
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.index import nearest_by_index
from msd_spark.neighbours.settings import NeighbourSettings
from msd_spark.neighbours.space import Space
from msd_spark.spark.session import progress
from msd_spark.spark.shipped_files import ship, shipped_array, shipped_file

ARRAYS, INDEX = ("vectors", "scaled", "centre", "codes", "track_ids"), "index.faiss"


@lru_cache(maxsize=1)
def _open_songs(
    prefix: str, metric: str, reach: float, approximate: bool
) -> tuple[Space, Exclusions, np.ndarray, faiss.IndexIVFFlat | None]:
    index: Any = faiss.read_index(str(shipped_file(prefix, INDEX)), faiss.IO_FLAG_MMAP) if approximate else None
    vectors, scaled, centre, codes, track_ids = (shipped_array(prefix, name) for name in ARRAYS)
    return Space(metric, vectors, scaled, centre, reach), Exclusions(codes), track_ids, index


def write_neighbours(
    session: SparkSession,
    space: Space,
    exclusions: Exclusions,
    track_ids: np.ndarray,
    index: faiss.IndexIVFFlat | None,
    settings: NeighbourSettings,
    writer: TableWriter,
) -> tuple[int, int]:
    """Write ``neighbours/RUN``; return the number of rows, and of songs with fewer than k.

    The search is exact without an index.
    """

    def write(folder: Path) -> None:
        if index is not None:
            faiss.write_index(index, str(folder / INDEX))

    context, destination, k = session.sparkContext, writer.destination, settings.k
    arrays = (space.vectors, space.scaled, space.centre, exclusions.codes, np.char.encode(track_ids, "utf-8"))
    prefix = ship(context, dict(zip(ARRAYS, arrays, strict=True)), write)
    open_songs = partial(_open_songs, prefix, space.metric, space.reach, index is not None)
    size = min(settings.queries_per_task, max(1, -(-len(space) // context.defaultParallelism)))

    def work(block: int) -> tuple[DataFile, int]:
        space, exclusions, track_ids, index = open_songs()
        rows = np.arange(block * size, min((block + 1) * size, len(space)))
        faiss.omp_set_num_threads(1)
        with threadpool_limits(1):
            vectors = np.asarray(space.vectors[rows])
            if index is None:
                neighbours = nearest(space, vectors, rows, k, exclusions)
            else:
                neighbours = nearest_by_index(space, index, vectors, rows, k, exclusions)
        table = neighbours.rows(track_ids, block * size)
        return destination.write(block, table), int((neighbours.places[:, -1] < 0).sum())

    blocks = -(-len(space) // size)
    with progress(session, "neighbours: songs"):
        written = context.parallelize(range(blocks), blocks).map(work).collect()
    writer.add(file for file, _ in written)
    return sum(file.rows for file, _ in written), sum(short for _, short in written)
