"""Write ``maps/RUN``: fit a map to a sample of songs, and place all other songs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, fields

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from tqdm import tqdm

from msd_spark.catalogue.embeddings import EMBEDDED_COLUMNS, EMBEDDINGS_TABLE, Embedded, embedded_songs
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import open_location
from msd_spark.core.rejections import Rejection, write_rejections
from msd_spark.core.runs import newest_run
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.export import export_map, viewer_commands
from msd_spark.maps.sample import stratified_sample
from msd_spark.maps.saved_map import PlacedSongs, SavedMap, directions, same_directions
from msd_spark.maps.settings import ATLAS, FEWEST_SONGS, TABLE, UMAP, Layout, MapSettings
from msd_spark.maps.tsne import FIT_ITERATIONS, TsnePlacer, fit_tsne
from msd_spark.maps.umap_layout import UmapPlacer, fit_umap

NO_EMBEDDING, NOT_FINITE = "no_embedding", "not_finite"
"""Reasons why a song is not on the map."""

KEPT, NEW, NEW_EMBEDDINGS = "kept", "new", "new, as the embeddings have changed"
"""States of the map in the summary."""


def run(settings: MapSettings) -> None:
    """Run ``msd-spark maps``."""
    warehouse = Warehouse(settings.warehouse)
    run_name = settings.run or newest_run(warehouse)
    warehouse.require(EMBEDDINGS_TABLE, run_name)
    if settings.export.viewers:
        warehouse.require("songs")
    if ATLAS in settings.export.viewers:
        warehouse.require("neighbours", run_name)
    if settings.export.folder is not None:
        filesystem, path, _ = open_location(settings.export.folder)
        if filesystem.get_file_info(path).is_file:
            raise UserError(f"--export {settings.export.folder} is a file; name a folder")
    embedded, rejections = read_songs(warehouse, run_name)
    saved, summary = make_map(warehouse, embedded, rejections, settings, run_name)
    summary.facts |= export_map(warehouse, run_name, embedded, saved.songs, settings.export)
    summary.finish(warehouse)
    for command in viewer_commands(settings.export):
        print(f"\n{command}")


def make_map(
    warehouse: Warehouse, embedded: Embedded, rejections: list[Rejection], settings: MapSettings, run_name: str
) -> tuple[SavedMap, Summary]:
    """Make or update ``maps/RUN``; return the map and the summary.

    On an existing map songs keep their places, new songs are placed, and songs without embeddings are removed. A song
    whose embedding changed direction is placed again. If most of the fitted songs did, a new map is made.
    """
    summary = Summary(TABLE)
    existing = None if settings.refit else SavedMap.read(warehouse, run_name)
    layout = settings.layout(run_name, existing.layout if existing else None)
    started = time.monotonic()
    if existing and matches(existing, embedded):
        state, base = KEPT, existing
    else:
        state = NEW_EMBEDDINGS if existing else NEW
        base = fit(embedded, layout, run_name, settings.threads)
    fit_seconds = time.monotonic() - started
    saved, counts = update(base, embedded, settings.block, settings.threads)
    write_rejections(warehouse, TABLE, rejections)
    if state != KEPT or counts["placed"] or counts["removed"]:
        saved.write(warehouse, run_name)
    summary.facts |= {
        "run": run_name,
        "songs": len(embedded),
        "without an embedding": len(rejections),
        "method": layout.method,
        "map": state,
        "songs fitted": len(saved.fitted),
        **({} if layout.method == UMAP else {"perplexity": round(saved.perplexity, 2)}),
        **{name: count for name, count in counts.items() if state == KEPT or name == "placed"},
        "seconds to fit": round(fit_seconds, 1),
        "seconds to place": round(time.monotonic() - started - fit_seconds, 1),
    }
    summary.details["layout"] = asdict(layout)
    sample = min(layout.sample, len(embedded))
    if len(saved.fitted) < sample // 2:
        print(
            f"maps: maps/{run_name} was fitted to {len(saved.fitted):,} songs when there were no more; "
            f"run msd-spark maps --refit to fit {sample:,}",
            file=sys.stderr,
        )
    return saved, summary


def matches(saved: SavedMap, embedded: Embedded) -> bool:
    """Return whether at least half of the fitted songs have embeddings of the same direction."""
    if saved.fitted.vectors.shape[1] != embedded.vectors.shape[1]:
        return False
    rows, present = _find(saved.fitted.track_ids, embedded.track_ids)
    if not present.any():
        return False
    same = same_directions(directions(saved.fitted.vectors[present]), directions(embedded.vectors[rows[present]]))
    return bool(2 * same.sum() >= len(same))


def read_songs(warehouse: Warehouse, run_name: str) -> tuple[Embedded, list[Rejection]]:
    """Read the songs of ``embeddings/RUN``; reject those without a finite embedding."""
    table = warehouse.read_table(EMBEDDED_COLUMNS, EMBEDDINGS_TABLE, run_name)
    null = pc.is_null(table["embedding"])
    reasons = [(track, NO_EMBEDDING, "the embedding is null") for track in table.filter(null)["track_id"].to_pylist()]
    embedded = embedded_songs(table.filter(pc.invert(null)), run_name) if len(reasons) < table.num_rows else None
    if embedded is not None:
        bad = ~np.isfinite(embedded.vectors).all(axis=1)
        detail = "the embedding has numbers that are not finite"
        reasons += [(track, NOT_FINITE, detail) for track in embedded.track_ids[bad].tolist()]
        embedded = _take(embedded, ~bad)
    n_songs = 0 if embedded is None else len(embedded)
    if embedded is None or n_songs < FEWEST_SONGS:
        raise UserError(
            f"embeddings/{run_name} has {n_songs} songs with an embedding and {len(reasons)} without; a map needs "
            f"{FEWEST_SONGS}; ingest more songs and run msd-spark score"
        )
    return embedded, [
        Rejection(warehouse.path(EMBEDDINGS_TABLE, run_name), reason, detail, member=track)
        for track, reason, detail in sorted(reasons)
    ]


def fit(embedded: Embedded, layout: Layout, run_name: str, threads: int = 1) -> SavedMap:
    """Fit a map to a sample of songs, stratified by predicted genre if the run predicts genres."""
    sample = _take(embedded, stratified_sample(embedded.predicted_genre, layout.sample, layout.seed))
    if np.ptp(directions(sample.vectors), axis=0).max() == 0:
        raise UserError(f"the embeddings of run {run_name} all point in one direction; run msd-spark train again")
    perplexity = layout.effective_perplexity(len(sample))
    if layout.method == UMAP:
        places = fit_umap(sample.vectors, layout.seed)
    else:
        with tqdm(desc="maps: fit", total=FIT_ITERATIONS, unit="iteration", mininterval=1.0) as bar:
            places = fit_tsne(sample.vectors, perplexity, layout.seed, threads, bar.update)
    songs = PlacedSongs(sample.track_ids, places, np.ones(len(sample), bool), directions(sample.vectors))
    return SavedMap(layout, perplexity, sample, places, songs)


def update(saved: SavedMap, embedded: Embedded, block: int, threads: int = 1) -> tuple[SavedMap, dict[str, int]]:
    """Return a map of all songs, and the numbers of songs that stayed, were placed or removed."""
    current = directions(embedded.vectors)
    rows, known = _find(embedded.track_ids, saved.songs.track_ids)
    stays = known.copy()
    stays[known] = same_directions(current[known], saved.songs.directions[rows[known]])
    places = np.empty((len(embedded), 2), np.float32)
    fitted = np.zeros(len(embedded), bool)
    places[stays], fitted[stays] = saved.songs.places[rows[stays]], saved.songs.fitted[rows[stays]]
    new = np.flatnonzero(~stays)
    if len(new):
        place: Callable[[np.ndarray], np.ndarray]
        if saved.layout.method == UMAP:
            place = UmapPlacer(saved.fitted.vectors, saved.places, saved.layout.seed)
        else:
            place = TsnePlacer(saved.fitted.vectors, saved.places, saved.perplexity, threads)
        with tqdm(desc="maps: place", total=len(new), unit="song", mininterval=1.0) as bar:
            for start in range(0, len(new), block):
                part = new[start : start + block]
                places[part] = place(embedded.vectors[part])
                bar.update(len(part))
    # Songs that stay keep the direction of their placement, so that small changes cannot accumulate unnoticed.
    current[stays] = saved.songs.directions[rows[stays]]
    counts = {
        "stayed": int(stays.sum()),
        "placed": len(new),
        "placed again, embedding changed": int((known & ~stays).sum()),
        "removed": len(saved.songs.track_ids) - int(known.sum()),
    }
    songs = PlacedSongs(embedded.track_ids, places, fitted, current)
    return SavedMap(saved.layout, saved.perplexity, saved.fitted, saved.places, songs), counts


def _take(embedded: Embedded, rows: np.ndarray) -> Embedded:
    return Embedded(*(getattr(embedded, field.name)[rows] for field in fields(Embedded)))


def _find(track_ids: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of each track id in another array, -1 if missing, and whether it exists."""
    rows = pd.Index(among).get_indexer(pd.Index(track_ids))
    return rows, rows >= 0
