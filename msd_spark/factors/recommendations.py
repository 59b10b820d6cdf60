"""Write ``recommendations/``: each user's best unheard tracks, by the product of factors.

Track factors reach each machine once, as a file that its workers map into memory. A task reads the listens and factors
of one block of users, and computes scores in blocks of limited size.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import SparkContext
from pyspark.sql import SparkSession
from scipy import sparse
from threadpoolctl import threadpool_limits

from msd_spark.core.schemas import RECOMMENDATIONS as SCHEMA
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.ranking import NONE, best, in_blocks, without
from msd_spark.factors.spark_als import part_path
from msd_spark.spark.session import progress
from msd_spark.spark.shipped_files import ship, shipped_folder

FACTORS_FILE, TRACKS_FILE = "factors.npy", "tracks.npy"


def rows_of(
    users: np.ndarray,
    user_factors: np.ndarray,
    heard: sparse.csr_matrix,
    tracks: np.ndarray,
    track_factors: np.ndarray,
    k: int,
) -> pa.Table:
    """Return the rows of some users: k tracks each, or fewer if there are no more.

    Parameters
    ----------
    users, tracks : numpy.ndarray
        Ids, shape ``(m,)`` and ``(n,)``, str or UTF-8 bytes.
    user_factors, track_factors : numpy.ndarray
        Shape ``(m, rank)`` and ``(n, rank)``, float32.
    heard : scipy.sparse.csr_matrix
        Shape ``(m, n)``: tracks to leave out.
    """
    lists, values = np.full((len(users), k), NONE, np.int32), np.zeros((len(users), k), np.float32)
    for block in in_blocks(len(users), len(tracks)):
        scores = without(user_factors[block] @ track_factors.T, heard[block])
        lists[block] = best(scores, k)
        values[block] = np.take_along_axis(scores, np.maximum(lists[block], 0), axis=1)
    user, place = np.nonzero(lists != NONE)
    columns = [users[user], place + 1, tracks[lists[user, place]], values[user, place]]
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def ship_tracks(context: SparkContext, track_factors: np.ndarray, tracks: np.ndarray) -> str:
    """Send the tracks' factors and ids to every machine; return the prefix of the file names."""

    def write(folder: Path) -> None:
        np.save(folder / FACTORS_FILE, track_factors, allow_pickle=False)
        np.save(folder / TRACKS_FILE, np.char.encode(tracks, "utf-8"), allow_pickle=False)

    return ship(context, write)


def block_writer(
    prefix: str, warehouse: str, listens: str, users: str, staging: str, size: int, k: int
) -> Callable[[int], tuple[int, int]]:
    """Return the function of a task: write the rows of a block; return their number and the users with fewer than k.

    Parameters
    ----------
    prefix : str
        See `ship_tracks`.
    listens, users : str
        Folders with one file per block: listens, see `msd_spark.factors.spark_als.write_listens`, and user factors.
    staging : str
        Folder for the table's files.
    size : int
        Users per block.
    """

    def work(block: int) -> tuple[int, int]:
        target = Warehouse(warehouse)
        factors, tracks = (
            np.load(shipped_folder() / f"{prefix}{name}", mmap_mode="r", allow_pickle=False)
            for name in (FACTORS_FILE, TRACKS_FILE)
        )
        rows = pq.read_table(part_path(users, block), filesystem=target.filesystem)
        ids = rows["id"].to_numpy()
        own = rows["factors"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(ids), -1)
        played = pq.read_table(part_path(listens, block), filesystem=target.filesystem)
        entries = (played["user"].to_numpy() - block * size, played["track"].to_numpy())
        heard = sparse.csr_matrix((played["plays"].to_numpy(), entries), shape=(len(ids), len(tracks)))
        with threadpool_limits(1):
            recommended = rows_of(ids, own, heard, tracks, factors, k)
        with target.finished_file(part_path(staging, block)) as unfinished:
            pq.write_table(recommended, unfinished, filesystem=target.filesystem, compression="zstd")
        n_full = int((recommended["rank"].to_numpy() == k).sum())
        return recommended.num_rows, len(ids) - n_full

    return work


def write_recommendations(
    session: SparkSession, work: Callable[[int], tuple[int, int]], n_blocks: int
) -> tuple[int, int]:
    """Write all blocks on Spark's workers; return the number of rows and of users with too few."""
    with progress(session, "factors: recommendations"):
        written = session.sparkContext.parallelize(range(n_blocks), n_blocks).map(work).collect()
    return sum(rows for rows, _ in written), sum(short for _, short in written)
