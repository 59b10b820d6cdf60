"""Judge a run's space: neighbours' shared traits, clusters and probes, beside chance and beside raw features."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from pyspark.sql import SparkSession
from tabulate import tabulate

from msd_spark.catalogue.embeddings import Embedded
from msd_spark.catalogue.raw_features import read_raw_features, standardise
from msd_spark.catalogue.traits import Traits, read_traits
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.exact import nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.language_question import LATIN, SPANISH, Songs, language_question
from msd_spark.neighbours.settings import NeighbourSettings
from msd_spark.neighbours.space import Space
from msd_spark.neighbours.space_metrics import agreement, as_json, clusters, probe
from msd_spark.spark.session import progress

QUERIES = 10_000
"""Songs of the seeded sample whose neighbours are judged; they are sought among all songs."""

SHARED = ("genre", "artist", "decade", "language")
PROBED = {"genre": True, "language": True, "key": True, "tempo": False, "loudness": False, "year": False}
"""Traits that a linear model is asked for, and whether they are classes."""

EMBEDDING, RAW = "embedding", "raw"


def judge(
    session: SparkSession, warehouse: Warehouse, embedded: Embedded, space: Space, settings: NeighbourSettings
) -> dict[str, Any]:
    """Return the figures of a run's space for ``_quality.json``."""
    with progress(session, "neighbours: traits and raw features"):
        traits = read_traits(session, warehouse, embedded.track_ids, settings.run, settings.label_set)
        songs = session.read.parquet(warehouse.address("songs"))
        raw, present = read_raw_features(songs, embedded.track_ids)
    spaces = {EMBEDDING: space, RAW: Space.of(standardise(raw), "euclidean")}
    return figures(spaces, traits, embedded.has_lyrics, settings) | {
        "label_set": traits.label_set,
        "songs_without_raw_features": int((~present).sum()),
    }


def figures(
    spaces: Mapping[str, Space], traits: Traits, has_lyrics: np.ndarray, settings: NeighbourSettings
) -> dict[str, Any]:
    """Return the figures of spaces of the same songs.

    Parameters
    ----------
    spaces : mapping
        Name to space.
    traits : Traits
    has_lyrics : numpy.ndarray
        Shape ``(n,)``, bool: whether the model saw lyrics.
    settings : NeighbourSettings
        Its `k` and `seed` count here.
    """
    n = len(has_lyrics)
    queries = np.arange(n)
    if n > QUERIES:
        queries = np.sort(np.random.default_rng(settings.seed).choice(n, QUERIES, replace=False))
    codes = {trait: traits.codes(trait) for trait in SHARED}
    others = Exclusions(codes["artist"][None].astype(np.int32))
    found = {
        kind: {name: _places(space, settings.k, exclusions, queries) for name, space in spaces.items()}
        for kind, exclusions in (("all", Exclusions(np.empty((0, n), np.int32))), ("of other artists", others))
    }
    shared = {
        kind: {
            trait: {name: as_json(agreement(codes[trait], queries, places)) for name, places in by_space.items()}
            for trait in SHARED
            if not (kind == "of other artists" and trait == "artist")
        }
        for kind, by_space in found.items()
    }
    probes = {
        trait: {
            name: as_json(
                probe(
                    space.vectors,
                    traits.codes(trait) if of_classes else traits.numbers(trait),
                    codes["artist"],
                    settings.seed,
                )
            )
            for name, space in spaces.items()
        }
        for trait, of_classes in PROBED.items()
    }
    return {
        "k": settings.k,
        "queries": len(queries),
        "neighbours_that_share": shared,
        "genre_clusters": {
            name: as_json(clusters(space.vectors, codes["genre"], settings.seed)) for name, space in spaces.items()
        },
        "probes": probes,
        "latin_songs": language_question(
            Songs(
                codes["genre"],
                codes["language"],
                (traits.table["genre"] == LATIN).to_numpy(bool),
                (traits.table["language"] == SPANISH).to_numpy(bool),
                has_lyrics,
            ),
            queries,
            found["of other artists"],
        ),
    }


def _places(space: Space, k: int, exclusions: Exclusions, queries: np.ndarray) -> np.ndarray:
    return nearest_of_all(space, k, exclusions, queries, len(os.sched_getaffinity(0))).places


def table(quality: Mapping[str, Any]) -> str:
    """Return the figures as a table for people."""
    rows: list[list[Any]] = []

    def add(what: str, by_space: Mapping[str, Any], value: str, chance: str | None) -> None:
        known = [figure for figure in by_space.values() if figure is not None and figure[value] is not None]
        if known:
            rows.append(
                [what]
                + [figure and figure[value] for figure in (by_space[EMBEDDING], by_space[RAW])]
                + [known[0][chance] if chance else None]
            )

    for kind, by_trait in quality["neighbours_that_share"].items():
        for trait, by_space in by_trait.items():
            add(f"neighbours ({kind}) of the same {trait}", by_space, "share", "chance")
    for value in ("silhouette", "v_measure"):
        add(f"genres: {value.replace('_', '-')}", quality["genre_clusters"], value, None)
    for trait, by_space in quality["probes"].items():
        measure = next((figure["measure"] for figure in by_space.values() if figure), "")
        add(f"linear probe of {trait}: {measure}", by_space, "value", "chance")
    shown = tabulate(
        rows, ["the space", "embedding", "raw features", "chance"], "simple", floatfmt=".3f", missingval="-"
    )
    return f"{shown}\n\n{quality['latin_songs']['reading']}"
