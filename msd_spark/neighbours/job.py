"""Write ``neighbours/RUN``: every song's nearest songs, the index beside them, and how good both are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
from pyspark.sql import SparkSession

from msd_spark.catalogue.embeddings import Embedded, read_embeddings
from msd_spark.catalogue.songs import NAMES, read_names
from msd_spark.core.errors import UserError
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.factor_space import FACTORS, read_track_factors
from msd_spark.neighbours.index import build_index, nearest_by_index, recall, tune, write_index
from msd_spark.neighbours.quality import judge, table
from msd_spark.neighbours.settings import (
    EXACT_UP_TO,
    INDEX_FILE,
    QUALITY_FILE,
    SEARCH_FILE,
    STAGE,
    TABLE,
    NeighbourSettings,
)
from msd_spark.neighbours.space import Space
from msd_spark.neighbours.work import block_writer, ship
from msd_spark.spark.session import progress

if TYPE_CHECKING:
    import faiss

MEBIBYTE = 2**20


def find_neighbours(session: SparkSession, settings: NeighbourSettings) -> Summary:
    """Write ``neighbours/RUN``, print how good the space is; return the summary.

    Raises
    ------
    UserError
        When the embeddings are missing or cannot be searched, or names are missing by which songs are left out.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    from_factors = settings.space == FACTORS
    embedded = read_track_factors(warehouse) if from_factors else read_embeddings(warehouse, settings.run)
    space = _space(embedded, settings)
    names = read_names(warehouse, embedded.track_ids) if settings.exclude else pd.DataFrame(columns=list(NAMES))
    exclusions = Exclusions.of(names.reindex(embedded.track_ids), settings.exclude)
    indexed = _index(space, exclusions, settings)
    exact = settings.method == "exact" or (settings.method == "auto" and len(space) <= EXACT_UP_TO)
    search = {
        "run": settings.run,
        "space": settings.space,
        "k": settings.k,
        "metric": settings.metric,
        "method": "exact" if exact else "approximate",
        "excluded": list(settings.exclude),
        "songs": len(space),
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
    with warehouse.replacing(TABLE, settings.run) as staging:
        started = time.monotonic()
        rows, short = _write_blocks(session, space, exclusions, embedded, indexed, exact, settings, staging)
        spent = time.monotonic() - started
        search |= {"rows": rows, "songs_with_fewer_than_k": short}
        index_bytes = write_index(indexed.index, warehouse.filesystem, f"{staging}/{INDEX_FILE}")
        inner = staging.removeprefix(f"{warehouse.root}/")
        warehouse.write_json(search, inner, SEARCH_FILE)
        if settings.quality:
            quality = judge(session, warehouse, embedded, space, settings)
            warehouse.write_json({"run": settings.run, **quality}, inner, QUALITY_FILE)
            print(table(quality), end="\n\n")
    summary.facts |= {
        "run": settings.run,
        "songs": len(space),
        "rows": rows,
        "songs with fewer than k": short,
        "method": search["method"],
        "songs a second": round(len(space) / spent),
        "index: seconds to build": round(indexed.seconds, 2),
        "index: MiB of its file": round(index_bytes / MEBIBYTE, 1),
        "index: MiB of memory, building": round(indexed.mebibytes, 1),
        f"index: recall@{settings.k}": round(indexed.recall, 4),
    }
    summary.details["search"] = search
    return summary


def _space(embedded: Embedded, settings: NeighbourSettings) -> Space:
    try:
        return Space.of(embedded.vectors, settings.metric)
    except ValueError as error:
        if settings.space == FACTORS:
            raise UserError(f"factors/, by track id: {error}; run jobs/factors.py again") from None
        raise UserError(
            f"embeddings/{settings.run}, by track id: {error}; run msd-spark score again, or train again"
        ) from None


@dataclass(frozen=True)
class Indexed:
    """An index, and what is known of it.

    Attributes
    ----------
    index : faiss.IndexIVFFlat
    recall : float
        On songs that it was not tuned by.
    measured_on : int
        How many.
    seconds, mebibytes : float
        What building it took.
    """

    index: faiss.IndexIVFFlat
    recall: float
    measured_on: int
    seconds: float
    mebibytes: float


def _index(space: Space, exclusions: Exclusions, settings: NeighbourSettings) -> Indexed:
    """Build and tune an index; measure it on other songs than it was tuned by, where there are enough."""
    threads = len(os.sched_getaffinity(0))
    held = psutil.Process().memory_info().rss
    started = time.monotonic()
    index = build_index(space, settings.seed, threads)
    seconds = time.monotonic() - started
    mebibytes = max(0, psutil.Process().memory_info().rss - held) / MEBIBYTE
    generator = np.random.default_rng(settings.seed)
    sample = generator.choice(len(space), min(len(space), 2 * settings.recall_queries), replace=False)
    by, on = (sample[: len(sample) // 2], sample[len(sample) // 2 :]) if len(sample) > 1 else (sample, sample)
    exact = nearest_of_all(space, settings.k, exclusions, by, threads)
    tune(space, index, by, exact, exclusions, settings.recall)
    exact = nearest_of_all(space, settings.k, exclusions, on, threads)
    found = nearest_by_index(space, index, space.vectors[on], on, settings.k, exclusions)
    return Indexed(index, recall(found, exact), len(on), seconds, mebibytes)


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
    """Let Spark's workers write the table; return its rows and the songs with fewer than k of them."""
    context = session.sparkContext
    shipped = ship(context, space, exclusions, embedded.track_ids, None if exact else indexed.index)
    size = min(settings.queries_per_task, max(1, -(-len(space) // context.defaultParallelism)))
    blocks = -(-len(space) // size)
    work = block_writer(shipped, settings.warehouse, staging, size, settings.k)
    with progress(session, "neighbours: songs"):
        written = context.parallelize(range(blocks), blocks).map(work).collect()
    counts: Any = np.sum(written, axis=0)
    return int(counts[0]), int(counts[1])
