"""Write ``neighbours/RUN``: the nearest songs of every song, an index, and quality metrics of the space."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import pandas as pd
import psutil
from pyspark.sql import SparkSession

from msd_spark.catalogue.embeddings import EMBEDDINGS_TABLE, Embedded, read_embeddings
from msd_spark.catalogue.songs import NAMES, read_names
from msd_spark.core.errors import UserError
from msd_spark.core.runs import newest_run
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.neighbours.index import build_index, nearest_by_index, recall, tune, write_index
from msd_spark.neighbours.quality import measure, table
from msd_spark.neighbours.settings import (
    APPROXIMATE,
    AUTO,
    EXACT,
    EXACT_UP_TO,
    FACTORS,
    INDEX_FILE,
    QUALITY_FILE,
    SEARCH_FILE,
    TABLE,
    NeighbourSettings,
)
from msd_spark.neighbours.space import Space
from msd_spark.neighbours.work import block_writer, ship_songs
from msd_spark.spark.session import progress, start_spark

MEBIBYTE = 2**20


def run(settings: NeighbourSettings) -> None:
    """Run ``msd-spark neighbours``."""
    warehouse = Warehouse(settings.warehouse)
    if settings.space == FACTORS:
        run_name = settings.run or FACTORS
        warehouse.require(FACTORS)
    else:
        run_name = settings.run or newest_run(warehouse)
        warehouse.require(EMBEDDINGS_TABLE, run_name)
    if settings.exclude or settings.quality:
        warehouse.require("songs")
    find_neighbours(start_spark("msd-spark neighbours"), settings, run_name).finish(warehouse)


def find_neighbours(session: SparkSession, settings: NeighbourSettings, run_name: str) -> Summary:
    """Write ``neighbours/RUN`` and print the quality metrics; return the summary.

    Raises
    ------
    UserError
        If the embeddings are missing or invalid, or ``songs/`` is missing but needed.
    """
    summary = Summary(TABLE)
    warehouse = Warehouse(settings.warehouse)
    from_factors = settings.space == FACTORS
    embedded = read_track_factors(warehouse) if from_factors else read_embeddings(warehouse, run_name)
    space = _space(embedded, settings, run_name)
    names = read_names(warehouse, embedded.track_ids) if settings.exclude else pd.DataFrame(columns=list(NAMES))
    exclusions = Exclusions.of(names.reindex(embedded.track_ids), settings.exclude)
    indexed = _index(space, exclusions, settings)
    exact = settings.method == EXACT or (settings.method == AUTO and len(space) <= EXACT_UP_TO)
    search = _search_metadata(embedded, indexed, settings, run_name) | {"method": EXACT if exact else APPROXIMATE}
    with warehouse.replacing(TABLE, run_name) as staging:
        started = time.monotonic()
        rows, short = _write_blocks(session, space, exclusions, embedded, indexed, exact, settings, staging)
        spent = time.monotonic() - started
        search |= {"rows": rows, "songs_with_fewer_than_k": short}
        index_bytes = write_index(indexed.index, warehouse.filesystem, f"{staging}/{INDEX_FILE}")
        inner = staging.removeprefix(f"{warehouse.root}/")
        warehouse.write_json(search, inner, SEARCH_FILE)
        if settings.quality:
            quality = measure(session, warehouse, embedded, space, settings, run_name)
            warehouse.write_json({"run": run_name, **quality}, inner, QUALITY_FILE)
            print(table(quality), end="\n\n")
    summary.facts |= {
        "run": run_name,
        "songs": len(space),
        "rows": rows,
        "songs with fewer than k": short,
        "method": search["method"],
        "songs per second": round(len(space) / spent),
        "index: seconds to build": round(indexed.seconds, 2),
        "index: MiB of its file": round(index_bytes / MEBIBYTE, 1),
        "index: MiB of memory to build": round(indexed.mebibytes, 1),
        f"index: recall@{settings.k}": round(indexed.recall, 4),
    }
    summary.details["search"] = search
    return summary


def _search_metadata(
    embedded: Embedded, indexed: Indexed, settings: NeighbourSettings, run_name: str
) -> dict[str, Any]:
    return {
        "run": run_name,
        "space": settings.space,
        "k": settings.k,
        "metric": settings.metric,
        "excluded": list(settings.exclude),
        "songs": len(embedded),
        "embeddings": embedded.fingerprint(),
        "index": {
            "kind": "faiss IndexIVFFlat",
            "lists": indexed.index.nlist,
            "lists_looked_into": indexed.index.nprobe,
            f"recall_at_{settings.k}": indexed.recall,
            "recall_measured_on": indexed.measured_on,
            "seed": settings.seed,
        },
    }


def _space(embedded: Embedded, settings: NeighbourSettings, run_name: str) -> Space:
    try:
        return Space.of(embedded.vectors, settings.metric)
    except ValueError as error:
        if settings.space == FACTORS:
            raise UserError(f"factors/ by track id: {error}; run msd-spark factors again") from None
        raise UserError(
            f"embeddings/{run_name} by track id: {error}; run msd-spark score again, or msd-spark train"
        ) from None


@dataclass(frozen=True)
class Indexed:
    """An index and its measurements.

    Attributes
    ----------
    recall : float
        On songs that it was not tuned on.
    measured_on : int
        Number of these songs.
    seconds, mebibytes : float
        Time and memory to build it.
    """

    index: faiss.IndexIVFFlat
    recall: float
    measured_on: int
    seconds: float
    mebibytes: float


def _index(space: Space, exclusions: Exclusions, settings: NeighbourSettings) -> Indexed:
    """Build and tune an index; measure its recall on other songs than those of the tuning, if there are enough."""
    threads = len(os.sched_getaffinity(0))
    before = psutil.Process().memory_info().rss
    started = time.monotonic()
    index = build_index(space, settings.seed, threads)
    seconds = time.monotonic() - started
    mebibytes = max(0, psutil.Process().memory_info().rss - before) / MEBIBYTE
    generator = np.random.default_rng(settings.seed)
    sample = generator.choice(len(space), min(len(space), 2 * settings.recall_queries), replace=False)
    half = len(sample) // 2
    tuned_on, measured_on = (sample[:half], sample[half:]) if half else (sample, sample)
    exact = nearest_of_all(space, settings.k, exclusions, tuned_on, threads)
    tune(space, index, tuned_on, exact, exclusions, settings.recall)
    exact = nearest_of_all(space, settings.k, exclusions, measured_on, threads)
    approximate = nearest_by_index(space, index, space.vectors[measured_on], measured_on, settings.k, exclusions)
    return Indexed(index, recall(approximate, exact), len(measured_on), seconds, mebibytes)


def _write_blocks(
    session: SparkSession,
    space: Space,
    exclusions: Exclusions,
    embedded: Embedded,
    indexed: Indexed,
    exact: bool,
    settings: NeighbourSettings,
    staging: str,
) -> tuple[int, int]:
    """Write the table on Spark's workers; return the number of rows, and of songs with fewer than k."""
    context = session.sparkContext
    shipped = ship_songs(context, space, exclusions, embedded.track_ids, None if exact else indexed.index)
    size = min(settings.queries_per_task, max(1, -(-len(space) // context.defaultParallelism)))
    blocks = -(-len(space) // size)
    work = block_writer(shipped, settings.warehouse, staging, size, settings.k)
    with progress(session, "neighbours: songs"):
        written = context.parallelize(range(blocks), blocks).map(work).collect()
    counts: Any = np.sum(written, axis=0)
    return int(counts[0]), int(counts[1])
