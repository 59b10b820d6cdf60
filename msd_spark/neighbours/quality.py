"""Compare the quality metrics of a space with those of raw features and of chance."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from tabulate import tabulate

from msd_spark.catalogue.embeddings import Embedded
from msd_spark.catalogue.raw_features import COLUMNS, SCHEMA, WITH_SEGMENTS, arrange, feature_batches, standardise
from msd_spark.catalogue.traits import BAGS, LANGUAGES, Traits, language_batches, read_traits, read_words
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.settings import NeighbourSettings
from msd_spark.neighbours.space import Space
from msd_spark.neighbours.space_metrics import agreement, clusters, probe
from msd_spark.spark.session import progress
from msd_spark.spark.tables import map_table

QUERIES = 10_000
"""Songs of the seeded sample whose neighbours, among all songs, are evaluated."""

SHARED = ("genre", "artist", "decade", "language")
PROBED = {"genre": True, "language": True, "key": True, "tempo": False, "loudness": False, "year": False}
"""Traits for linear probes, and whether they are classes."""

EMBEDDING, RAW = "embedding", "raw"


def measure(
    session: SparkSession, warehouse: Warehouse, embedded: Embedded, space: Space, settings: NeighbourSettings, run: str
) -> dict[str, Any]:
    """Return the metrics of a run's space for ``_quality.json``."""
    with progress(session, "neighbours: traits and raw features"):
        languages = _languages(session, warehouse)
        traits = read_traits(warehouse, embedded.track_ids, run, settings.label_set, languages)
        features = map_table(session, warehouse, "songs", COLUMNS, feature_batches, SCHEMA, WITH_SEGMENTS)
        raw, present = arrange(features.toPandas(), embedded.track_ids)
    spaces = {EMBEDDING: space, RAW: Space.of(standardise(raw), "euclidean")}
    return metrics_of(spaces, traits, settings.k, settings.seed) | {
        "label_set": traits.label_set,
        "songs_without_raw_features": int((~present).sum()),
    }


def _languages(session: SparkSession, warehouse: Warehouse) -> pd.Series:
    """Return the language of lyrics by track id; empty without lyrics."""
    words = read_words(warehouse)
    if not words:
        return pd.Series(dtype=object)
    table = map_table(session, warehouse, "lyrics", BAGS, partial(language_batches, words), LANGUAGES).toPandas()
    return table.dropna().drop_duplicates("track_id").set_index("track_id")["language"]


def metrics_of(spaces: Mapping[str, Space], traits: Traits, k: int, seed: int) -> dict[str, Any]:
    """Return the metrics of several spaces of the same songs."""
    n = len(traits.table)
    queries = np.arange(n)
    if n > QUERIES:
        queries = np.sort(np.random.default_rng(seed).choice(n, QUERIES, replace=False))
    codes = {trait: traits.codes(trait) for trait in SHARED}
    threads = len(os.sched_getaffinity(0))
    shared: dict[str, dict[str, Any]] = {}
    for kind, excluded in (("all", codes["artist"][:0]), ("of other artists", codes["artist"])):
        exclusions = Exclusions(excluded.astype(np.int32).reshape(-1, n))
        places = {name: nearest_of_all(space, k, exclusions, queries, threads).places for name, space in spaces.items()}
        shared[kind] = {
            trait: {name: agreement(codes[trait], queries, of_space) for name, of_space in places.items()}
            for trait in SHARED
            if kind == "all" or trait != "artist"
        }
    values = {
        trait: traits.codes(trait) if of_classes else traits.numbers(trait) for trait, of_classes in PROBED.items()
    }
    return {
        "k": k,
        "queries": len(queries),
        "neighbours_that_share": shared,
        "genre_clusters": {name: clusters(space.vectors, codes["genre"], seed) for name, space in spaces.items()},
        "probes": {
            trait: {name: probe(space.vectors, values[trait], codes["artist"], seed) for name, space in spaces.items()}
            for trait in PROBED
        },
    }


def table(quality: Mapping[str, Any]) -> str:
    """Return the metrics as a printed table."""
    rows: list[list[Any]] = []

    def add(label: str, by_space: Mapping[str, Any], value: str, chance: str | None) -> None:
        defined = [metric for metric in by_space.values() if metric is not None and metric[value] is not None]
        if defined:
            values = [metric and metric[value] for metric in (by_space[EMBEDDING], by_space[RAW])]
            rows.append([label, *values, defined[0][chance] if chance else None])

    for kind, by_trait in quality["neighbours_that_share"].items():
        for trait, by_space in by_trait.items():
            add(f"neighbours ({kind}) with the same {trait}", by_space, "share", "chance")
    for value in ("silhouette", "v_measure"):
        add(f"genres: {value.replace('_', '-')}", quality["genre_clusters"], value, None)
    for trait, by_space in quality["probes"].items():
        measure = next((metric["measure"] for metric in by_space.values() if metric), "")
        add(f"linear probe of {trait}: {measure}", by_space, "value", "chance")
    heads = ["embedding quality", "embedding", "raw features", "chance"]
    return tabulate(rows, heads, "simple", floatfmt=".3f", missingval="-")
