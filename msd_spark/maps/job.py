"""Write ``maps/RUN``: make a map of some songs, place all others into it, and leave who is there where they are."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from msd_spark.catalogue.embeddings import EMBEDDED_COLUMNS, EMBEDDINGS_TABLE, Embedded, embedded_songs
from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection, write_rejections
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.kept import KeptMap, Songs, directions, same_directions
from msd_spark.maps.sample import stratified_sample
from msd_spark.maps.settings import FEWEST_SONGS, STAGE, UMAP, Layout, MapSettings

NO_EMBEDDING, NOT_FINITE = "no_embedding", "not_finite"
"""Reasons for which a song is not on the map."""

Place = Callable[[np.ndarray], np.ndarray]
"""From embeddings ``(m, size)`` to places ``(m, 2)``."""


def make_map(settings: MapSettings) -> Summary:
    """Write ``maps/RUN``; return the summary.

    A map that is there is kept: its songs stay where they are, new ones are placed into it, and songs that left the
    embeddings leave it. A song whose embedding turned is placed anew. Where that is true of most songs that the map was
    made of, the run is another one, and a new map is made.

    Raises
    ------
    UserError
        When the embeddings are missing or too few, or the map that is there was made otherwise than is asked.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    embedded, refused = read_songs(warehouse, settings.run)
    there = None if settings.refit else KeptMap.read(warehouse, settings.run)
    layout = _layout(there, settings)
    goes_on = there is not None and is_of(there, embedded)
    started = time.monotonic()
    kept = there if there is not None and goes_on else fit(embedded, layout, settings.run, settings.threads)
    fitted_after = time.monotonic() - started
    made, counts = bring_up_to_date(kept, embedded, settings.block, settings.threads)
    if not goes_on or counts["placed now"] or counts["gone"]:
        made.write(warehouse, settings.run)
    write_rejections(warehouse, STAGE, refused)
    summary.facts |= {
        "run": settings.run,
        "songs": len(embedded),
        "without an embedding": len(refused),
        "method": made.layout.method,
        "map": KEPT if goes_on else NEW if there is None else OTHER_EMBEDDINGS,
        "made of": len(made.fitted),
        **({} if made.layout.method == UMAP else {"perplexity": round(made.perplexity, 2)}),
        **{name: count for name, count in counts.items() if goes_on or name == "placed now"},
        "seconds to make": round(fitted_after, 1),
        "seconds to place": round(time.monotonic() - started - fitted_after, 1),
    }
    summary.details["layout"] = asdict(made.layout)
    if len(made.fitted) < min(made.layout.sample, len(embedded)) // 2:
        print(
            f"{STAGE}: maps/{settings.run} was made of {len(made.fitted):,} songs when there were no more; "
            f"--refit makes it of {min(made.layout.sample, len(embedded)):,}",
            file=sys.stderr,
        )
    return summary


KEPT, NEW, OTHER_EMBEDDINGS = "kept", "new", "new, as the embeddings are others"
"""What is said of the map."""


def _layout(there: KeptMap | None, settings: MapSettings) -> Layout:
    """Return how the map is made: as the one that is there, which must not be asked for otherwise."""
    if there is None:
        return Layout(**settings.asked)
    was = asdict(there.layout)
    other = [f"{name} {was[name]}, not {value}" for name, value in settings.asked.items() if was[name] != value]
    if other:
        raise UserError(
            f"maps/{settings.run} was made with {'; '.join(other)}; leave that out, or make a new map (--refit)"
        )
    return there.layout


def is_of(kept: KeptMap, embedded: Embedded) -> bool:
    """Whether a map was made of these embeddings: at least half of its fitted songs still lie in the same direction."""
    if kept.fitted.vectors.shape[1] != embedded.vectors.shape[1]:
        return False
    at, there = _find(kept.fitted.track_ids, embedded.track_ids)
    if not there.any():
        return False
    same = same_directions(directions(kept.fitted.vectors[there]), directions(embedded.vectors[at[there]]))
    return bool(2 * same.sum() >= len(same))


def read_songs(warehouse: Warehouse, run: str) -> tuple[Embedded, list[Rejection]]:
    """Return the songs of ``embeddings/RUN`` that can be on a map, and why others cannot.

    Raises
    ------
    UserError
        When there is no such table, or too few songs in it.
    """
    warehouse.require(EMBEDDINGS_TABLE, run)
    table = warehouse.read_table(list(EMBEDDED_COLUMNS), EMBEDDINGS_TABLE, run)
    null = pc.is_null(table["embedding"])
    refused = [(track, NO_EMBEDDING, "the embedding is null") for track in table.filter(null)["track_id"].to_pylist()]
    embedded = embedded_songs(table.filter(pc.invert(null)), run) if len(refused) < table.num_rows else None
    if embedded is not None:
        bad = ~np.isfinite(embedded.vectors).all(axis=1)
        detail = "the embedding has numbers that are not finite"
        refused += [(track, NOT_FINITE, detail) for track in embedded.track_ids[bad].tolist()]
        embedded = _take(embedded, ~bad)
    found = 0 if embedded is None else len(embedded)
    if embedded is None or found < FEWEST_SONGS:
        raise UserError(
            f"embeddings/{run} has {found} songs with an embedding and {len(refused)} without; "
            f"a map needs {FEWEST_SONGS}",
        )
    return embedded, [
        Rejection(warehouse.path(EMBEDDINGS_TABLE, run), reason, detail, member=track)
        for track, reason, detail in sorted(refused)
    ]


def fit(embedded: Embedded, layout: Layout, run: str, threads: int = 1) -> KeptMap:
    """Make a map of a sample of songs, stratified by the genre that the model predicts.

    Of a run that tells no genres the sample is drawn from all songs alike.

    Raises
    ------
    UserError
        When UMAP is asked for and not installed, or the songs all lie in one direction.
    """
    chosen = stratified_sample(embedded.predicted_genre, layout.sample, layout.seed)
    sample = _take(embedded, chosen)
    if np.ptp(directions(sample.vectors), axis=0).max() == 0:
        raise UserError(f"the embeddings of run {run} all point in one direction; train again")
    perplexity = layout.effective_perplexity(len(sample))
    if layout.method == UMAP:
        from msd_spark.maps.umap_layout import fit_umap, require_umap

        require_umap()
        places = fit_umap(sample.vectors, layout.seed)
    else:
        from msd_spark.maps.tsne import FIT_ITERATIONS, fit_tsne

        with tqdm(desc="maps: fit", total=FIT_ITERATIONS, unit="iteration", mininterval=1.0) as bar:
            places = fit_tsne(sample.vectors, perplexity, layout.seed, threads, bar.update)
    songs = Songs(sample.track_ids, places, np.ones(len(sample), bool), directions(sample.vectors))
    return KeptMap(layout, perplexity, sample, places, songs)


def bring_up_to_date(kept: KeptMap, embedded: Embedded, block: int, threads: int = 1) -> tuple[KeptMap, dict[str, int]]:
    """Return a map with exactly these songs on it, and what was done.

    Parameters
    ----------
    kept : KeptMap
    embedded : Embedded
        All songs, by track id.
    block : int
        Songs to place at a time.
    threads : int

    Returns
    -------
    made : KeptMap
    counts : dict
        Songs that stayed where they were, that were placed now, those among them whose embedding turned, and songs of
        the old map that are gone.
    """
    now = directions(embedded.vectors)
    at, known = _find(embedded.track_ids, kept.songs.track_ids)
    stays = known.copy()
    stays[known] = same_directions(now[known], kept.songs.directions[at[known]])
    places = np.empty((len(embedded), 2), np.float32)
    fitted = np.zeros(len(embedded), bool)
    places[stays], fitted[stays] = kept.songs.places[at[stays]], kept.songs.fitted[at[stays]]
    new = np.flatnonzero(~stays)
    if len(new):
        place = _placer(kept, threads)
        with tqdm(desc="maps: place", total=len(new), unit="song", mininterval=1.0) as bar:
            for start in range(0, len(new), block):
                rows = new[start : start + block]
                places[rows] = place(embedded.vectors[rows])
                bar.update(len(rows))
    # What stays keeps the direction that it was placed by: many small turns do not add up unseen.
    now[stays] = kept.songs.directions[at[stays]]
    counts = {
        "stayed": int(stays.sum()),
        "placed now": len(new),
        "placed now, embedding turned": int((known & ~stays).sum()),
        "gone": len(kept.songs.track_ids) - int(known.sum()),
    }
    songs = Songs(embedded.track_ids, places, fitted, now)
    return KeptMap(kept.layout, kept.perplexity, kept.fitted, kept.places, songs), counts


def _placer(kept: KeptMap, threads: int) -> Place:
    if kept.layout.method == UMAP:
        from msd_spark.maps.umap_layout import UmapPlacer, require_umap

        require_umap()
        return UmapPlacer(kept.fitted.vectors, kept.places, kept.layout.seed)
    from msd_spark.maps.tsne import TsnePlacer

    return TsnePlacer(kept.fitted.vectors, kept.places, kept.perplexity, threads)


def _take(embedded: Embedded, rows: np.ndarray) -> Embedded:
    columns: dict[str, Any] = {name: getattr(embedded, name)[rows] for name in Embedded.__dataclass_fields__}
    return Embedded(**columns)


def _find(wanted: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each track id among others, and whether it is there (its place means nothing if not)."""
    place = pc.fill_null(pc.index_in(pa.array(wanted), value_set=pa.array(among)), -1)
    at = place.to_numpy(zero_copy_only=False).astype(np.int64)
    return at, at >= 0
