"""Write ``recommendations/``: each user's best unheard tracks, by the product of factors.

Track factors reach each machine once, as a file that its workers map into memory. A task reads the listens and factors
of one block of users, and computes scores in blocks of limited size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from threadpoolctl import threadpool_limits

from msd_spark.core.delta import DataFile, TableWriter
from msd_spark.core.schemas import RECOMMENDATIONS as SCHEMA
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.listens import Listens
from msd_spark.factors.ranking import NONE, best, in_blocks, without
from msd_spark.factors.spark_als import Factors, Fitter, part_path
from msd_spark.spark.session import progress
from msd_spark.spark.shipped_files import ship, shipped_array

ARRAYS = ("factors", "tracks")


def write_recommendations(
    fitter: Fitter, listens: Listens, factors: Factors, user_files: Sequence[str], writer: TableWriter
) -> tuple[int, int]:
    """Write the table; return the numbers of rows and of users with too few tracks.

    `user_files` are the paths of the files with the factors of users, one per block.
    """
    context, settings = fitter.session.sparkContext, fitter.settings
    arrays = (factors.track_factors, np.char.encode(factors.tracks, "utf-8"))
    prefix, listens_folder = ship(context, dict(zip(ARRAYS, arrays, strict=True))), fitter.stage("recommended", listens)
    warehouse, size, k = settings.warehouse, settings.users_per_task, settings.recommendations
    destination = writer.destination

    def work(block: int) -> tuple[DataFile, int]:
        target = Warehouse(warehouse)
        track_factors, tracks = (shipped_array(prefix, name) for name in ARRAYS)
        rows = pq.read_table(user_files[block], filesystem=target.filesystem)
        users = rows["id"].to_numpy()
        user_factors = rows["factors"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        played = pq.read_table(part_path(listens_folder, block), filesystem=target.filesystem)
        entries = (played["user"].to_numpy() - block * size, played["track"].to_numpy())
        history = sparse.csr_matrix((played["plays"].to_numpy(), entries), shape=(len(users), len(tracks)))
        with threadpool_limits(1):
            recommended = _rows(users, user_factors.reshape(len(users), -1), history, tracks, track_factors, k)
        n_full = int((recommended["rank"].to_numpy() == k).sum())
        return destination.write(block, recommended), len(users) - n_full

    n_blocks = fitter.staged["recommended"]
    with progress(fitter.session, "factors: recommendations"):
        written = context.parallelize(range(n_blocks), n_blocks).map(work).collect()
    writer.add(file for file, _ in written)
    return sum(file.rows for file, _ in written), sum(short for _, short in written)


def _rows(
    users: np.ndarray,
    user_factors: np.ndarray,
    history: sparse.csr_matrix,
    tracks: np.ndarray,
    track_factors: np.ndarray,
    k: int,
) -> pa.Table:
    """Return the rows of users, str or UTF-8 bytes: k tracks each, or all others if fewer."""
    lists, values = np.full((len(users), k), NONE, np.int32), np.zeros((len(users), k), np.float32)
    for block in in_blocks(len(users), len(tracks)):
        scores = without(user_factors[block] @ track_factors.T, history[block])
        lists[block] = best(scores, k)
        values[block] = np.take_along_axis(scores, np.maximum(lists[block], 0), axis=1)
    user, place = np.nonzero(lists != NONE)
    columns = [users[user], place + 1, tracks[lists[user, place]], values[user, place]]
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)
