"""Fit factors by Spark ML's implicit ALS to listens staged as Parquet files.

Each file has a block of users with consecutive numbers. Workers read it through the warehouse's filesystem, so the
warehouse can be local or remote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession
from scipy import sparse

from msd_spark.core.errors import UserError
from msd_spark.core.trace_log import last_words
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.confidence import log_scaled
from msd_spark.factors.listens import Listens
from msd_spark.factors.settings import AlsParameters, FactorSettings
from msd_spark.spark.session import progress

TRIPLETS = pa.schema([("user", pa.int32()), ("track", pa.int32()), ("plays", pa.float32())])
RATED = "user int, track int, rating float"


@dataclass(frozen=True)
class Factors:
    """Sorted ids of users and tracks, and their factors of shape ``(n, rank)``, float32."""

    users: np.ndarray
    tracks: np.ndarray
    user_factors: np.ndarray
    track_factors: np.ndarray


class Fitter:
    """Stages listens in a folder of the warehouse and fits factors to them."""

    def __init__(self, session: SparkSession, warehouse: Warehouse, folder: str, settings: FactorSettings) -> None:
        self.session, self.warehouse, self.folder, self.settings = session, warehouse, folder, settings
        self.staged: dict[str, int] = {}
        """Number of files by name of the staged listens."""

    def stage(self, name: str, listens: Listens) -> str:
        """Write listens unless they are written already; return the folder."""
        folder = f"{self.folder}/{name}"
        if name not in self.staged:
            self.staged[name] = write_listens(self.warehouse, folder, listens.plays, self.settings.users_per_task)
        return folder

    def fit(self, name: str, listens: Listens, parameters: AlsParameters) -> Factors:
        """Fit factors of users and tracks, each of which has listens.

        Equal seeds, blocks and listens start from equal factors. Spark sums in the order in which rows reach a block:
        two fits differ by rounding at most.
        """
        folder = self.stage(name, listens)
        blocks = self.settings.blocks or default_blocks(listens.plays.nnz)
        als = ALS(
            rank=parameters.rank,
            maxIter=parameters.iterations,
            regParam=parameters.regularisation,
            alpha=parameters.alpha,
            implicitPrefs=True,
            userCol="user",
            itemCol="track",
            ratingCol="rating",
            seed=self.settings.seed,
            numUserBlocks=blocks,
            numItemBlocks=blocks,
        )
        try:
            with progress(self.session, f"factors: ALS of rank {parameters.rank}"):
                ratings = read_ratings(self.session, self.warehouse, folder, self.staged[name], parameters.epsilon)
                model = als.fit(ratings)
                try:
                    users, tracks = (
                        _dense(frame, len(ids))
                        for frame, ids in ((model.userFactors, listens.users), (model.itemFactors, listens.tracks))
                    )
                finally:
                    model.userFactors.unpersist()
                    model.itemFactors.unpersist()
        except UserError:
            raise
        except Exception as error:  # Spark wraps a worker's failure in several types
            raise UserError(f"ALS failed: {last_words(error)}") from error
        return Factors(listens.users, listens.tracks, users, tracks)


def default_blocks(pairs: int) -> int:
    """Return the blocks for a number of (user, track) pairs; more cost more than they save.

    Examples
    --------
    >>> default_blocks(20_000), default_blocks(8_000_000), default_blocks(10**9)
    (2, 8, 64)
    """
    return min(64, max(2, pairs // 1_000_000))


def part_path(folder: str, number: int) -> str:
    """Return the path of the file of a block of users."""
    return f"{folder}/part-{number:06d}.parquet"


def write_listens(warehouse: Warehouse, folder: str, plays: sparse.csr_matrix, users_per_part: int) -> int:
    """Write one file per block of users; return the number of files."""
    warehouse.filesystem.create_dir(folder, recursive=True)
    n_parts = -(-plays.shape[0] // users_per_part)
    for number in range(n_parts):
        first, stop = number * users_per_part, min((number + 1) * users_per_part, plays.shape[0])
        inside = slice(plays.indptr[first], plays.indptr[stop])
        user = np.repeat(np.arange(first, stop, dtype=np.int32), np.diff(plays.indptr[first : stop + 1]))
        table = pa.table([user, plays.indices[inside].astype(np.int32), plays.data[inside]], schema=TRIPLETS)
        pq.write_table(table, part_path(folder, number), filesystem=warehouse.filesystem, compression="zstd")
    return n_parts


def read_ratings(session: SparkSession, warehouse: Warehouse, folder: str, n_parts: int, epsilon: float) -> DataFrame:
    """Return listens written by `write_listens`, with `log_scaled` plays as ratings."""
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


def _dense(frame: DataFrame, n: int) -> np.ndarray:
    table = pa.Table.from_batches(frame._collect_as_arrow())
    values = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    if table.num_rows != n:
        raise UserError(f"ALS returned factors for {table.num_rows} of {n} rows; run msd-spark factors again")
    factors = np.empty((n, len(values) // n), np.float32)
    factors[table["id"].to_numpy()] = values.reshape(n, -1)
    if not np.isfinite(factors).all():
        raise UserError("ALS returned factors that are not finite; raise --regularisation or lower --alpha")
    return factors
