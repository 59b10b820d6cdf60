"""Write ``neighbours/RUN``: nearest songs, an index, and quality metrics of the space."""

from __future__ import annotations

import os
import time
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
from msd_spark.core.schemas import NEIGHBOURS
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
from msd_spark.neighbours.work import write_neighbours
from msd_spark.spark.session import start_spark

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
    """Write ``neighbours/RUN`` and print the quality metrics; return the summary."""
    summary = Summary(TABLE)
    warehouse = Warehouse(settings.warehouse)
    from_factors = settings.space == FACTORS
    embedded = read_track_factors(warehouse) if from_factors else read_embeddings(warehouse, run_name)
    space = _space(embedded, settings, run_name)
    names = read_names(warehouse, embedded.track_ids) if settings.exclude else pd.DataFrame(columns=list(NAMES))
    exclusions = Exclusions.of(names.reindex(embedded.track_ids), settings.exclude)
    index, measured, facts = _index(space, exclusions, settings)
    exact = settings.method == EXACT or (settings.method == AUTO and len(space) <= EXACT_UP_TO)
    search = {
        "run": run_name,
        "space": settings.space,
        "k": settings.k,
        "metric": settings.metric,
        "excluded": list(settings.exclude),
        "songs": len(embedded),
        "embeddings": embedded.fingerprint(),
        "index": measured,
        "method": EXACT if exact else APPROXIMATE,
    }
    with warehouse.overwriting(NEIGHBOURS, TABLE, run_name) as writer:
        started = time.monotonic()
        searched = None if exact else index
        rows, short = write_neighbours(session, space, exclusions, embedded.track_ids, searched, settings, writer)
        seconds = time.monotonic() - started
        search |= {"rows": rows, "songs_with_fewer_than_k": short}
        index_bytes = write_index(index, warehouse.filesystem, writer.side_file(INDEX_FILE))
        writer.write_json(search, SEARCH_FILE)
        if settings.quality:
            quality = measure(session, warehouse, embedded, space, settings, run_name)
            writer.write_json({"run": run_name, **quality}, QUALITY_FILE)
            print(table(quality), end="\n\n")
    summary.facts |= {
        "run": run_name,
        "songs": len(space),
        "rows": rows,
        "songs with fewer than k": short,
        "method": search["method"],
        "songs per second": round(len(space) / seconds),
        "index: MiB of its file": round(index_bytes / MEBIBYTE, 1),
        **facts,
    }
    summary.details["search"] = search
    return summary


def _space(embedded: Embedded, settings: NeighbourSettings, run_name: str) -> Space:
    try:
        return Space.of(embedded.vectors, settings.metric)
    except ValueError as error:
        if settings.space == FACTORS:
            raise UserError(f"factors/ by track id: {error}; run msd-spark factors again") from None
        raise UserError(
            f"embeddings/{run_name} by track id: {error}; run msd-spark score again, or msd-spark train"
        ) from None


def _index(
    space: Space, exclusions: Exclusions, settings: NeighbourSettings
) -> tuple[faiss.IndexIVFFlat, dict[str, Any], dict[str, Any]]:
    """Build and tune an index; return it, its metadata and the summary's facts.

    The recall is measured on other songs than those of the tuning, if there are enough.
    """
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
    measured_recall = recall(approximate, exact)
    metadata = {
        "kind": "faiss IndexIVFFlat",
        "lists": index.nlist,
        "lists_looked_into": index.nprobe,
        f"recall_at_{settings.k}": measured_recall,
        "recall_measured_on": len(measured_on),
        "seed": settings.seed,
    }
    facts = {
        "index: seconds to build": round(seconds, 2),
        "index: MiB of memory to build": round(mebibytes, 1),
        f"index: recall@{settings.k}": round(measured_recall, 4),
    }
    return index, metadata, facts
