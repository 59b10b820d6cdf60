"""Spark ML's implicit ALS on listens that lie as Parquet parts where its workers can read them.

Users are parted into blocks of consecutive numbers, a file each; a worker reads a file through the warehouse's own
filesystem, so that it makes no difference where the warehouse is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession
from scipy import sparse

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.confidence import log_scaled
from msd_spark.factors.settings import AlsParameters
from msd_spark.spark.session import last_words, progress

TRIPLETS = pa.schema([("user", pa.int32()), ("track", pa.int32()), ("plays", pa.float32())])
RATED = "user int, track int, rating float"


def part_path(folder: str, number: int) -> str:
    """Return the path of the listens of a block of users."""
    return f"{folder}/part-{number:06d}.parquet"


def write_listens(warehouse: Warehouse, folder: str, plays: sparse.csr_matrix, users_per_part: int) -> int:
    """Write the listens of blocks of users as files; return how many there are."""
    warehouse.filesystem.create_dir(folder, recursive=True)
    n_parts = -(-plays.shape[0] // users_per_part)
    for number in range(n_parts):
        first, stop = number * users_per_part, min((number + 1) * users_per_part, plays.shape[0])
        ours = slice(plays.indptr[first], plays.indptr[stop])
        user = np.repeat(np.arange(first, stop, dtype=np.int32), np.diff(plays.indptr[first : stop + 1]))
        table = pa.table([user, plays.indices[ours].astype(np.int32), plays.data[ours]], schema=TRIPLETS)
        pq.write_table(table, part_path(folder, number), filesystem=warehouse.filesystem, compression="zstd")
    return n_parts


def read_ratings(session: SparkSession, warehouse: Warehouse, folder: str, n_parts: int, epsilon: float) -> DataFrame:
    """Return what `write_listens` wrote as ratings, see `msd_spark.factors.confidence.log_scaled`."""
    uri = warehouse.address()

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        filesystem = Warehouse(uri).filesystem
        for batch in batches:
            for number in batch.column(0).to_pylist():
                table = pq.read_table(part_path(folder, number), filesystem=filesystem)
                rating = pa.array(log_scaled(table["plays"].to_numpy(), epsilon))
                rated = pa.table([table["user"], table["track"], rating], names=["user", "track", "rating"])
                yield from rated.combine_chunks().to_batches()

    tasks = min(n_parts, max(session.sparkContext.defaultParallelism, 1) * 4)
    return session.range(0, n_parts, 1, tasks).mapInArrow(read, RATED)


def fit(
    session: SparkSession,
    warehouse: Warehouse,
    folder: str,
    shape: tuple[int, int],
    n_parts: int,
    parameters: AlsParameters,
    blocks: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit factors of users and tracks.

    The same seed, blocks and listens start from the same factors. Spark adds up a row's listens in the order in which
    they reach a block, in float64, and keeps factors as float32: two fits differ by roundings, not more.

    Parameters
    ----------
    folder : str
        Where `write_listens` wrote `n_parts` files.
    shape : tuple of int
        Users and tracks; each has listens.

    Returns
    -------
    users, tracks : numpy.ndarray
        Shape ``(n_users, rank)`` and ``(n_tracks, rank)``, float32.

    Raises
    ------
    UserError
        When Spark fails, or a user or track has no factors.
    """
    als = ALS(
        rank=parameters.rank,
        maxIter=parameters.iterations,
        regParam=parameters.regularisation,
        alpha=parameters.alpha,
        implicitPrefs=True,
        userCol="user",
        itemCol="track",
        ratingCol="rating",
        seed=seed,
        numUserBlocks=blocks,
        numItemBlocks=blocks,
    )
    try:
        with progress(session, f"factors: ALS of rank {parameters.rank}"):
            model = als.fit(read_ratings(session, warehouse, folder, n_parts, parameters.epsilon))
            try:
                return _dense(model.userFactors, shape[0]), _dense(model.itemFactors, shape[1])
            finally:
                model.userFactors.unpersist()
                model.itemFactors.unpersist()
    except UserError:
        raise
    except Exception as error:  # whatever Spark wraps a worker's failure in
        raise UserError(f"ALS failed: {last_words(error)}") from error


def _dense(factors: DataFrame, n: int) -> np.ndarray:
    """Return factors in the order of their numbers."""
    table = pa.Table.from_batches(factors._collect_as_arrow())
    values = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    if table.num_rows != n:
        raise UserError(f"ALS gave {table.num_rows} factors for {n}; run the job again")
    found = np.empty((n, len(values) // n), np.float32)
    found[table["id"].to_numpy()] = values.reshape(n, -1)
    if not np.isfinite(found).all():
        raise UserError("ALS gave factors that are not finite; raise --regularisation or lower --alpha")
    return found
