"""Read recommendations of sampled users, and vectors that recommend songs from songs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.core.warehouse import command_for
from msd_spark.factors.mixed import OFFSET
from msd_spark.factors.settings import METADATA_FILE, TABLE, USER, AlsParameters
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.report.data.details import chunks
from msd_spark.report.data.listeners import DEPTH, LENGTH, Listeners, unit_rows, users_data
from msd_spark.report.data.sources import Sources
from msd_spark.report.scripts import packed, packed_rows
from msd_spark.report.settings import ReportSettings
from msd_spark.report.tables import rows_of

PLAYS = "plays"

VECTORS = 50_000
"""Songs per file of vectors."""


def missing_table(sources: Sources) -> str | None:
    """Return which table of recommendations is missing, and the command to run; None if none is."""
    warehouse = sources.warehouse
    if not (warehouse.is_complete(TABLE) and warehouse.exists(TABLE, METADATA_FILE)):
        return f"{TABLE}/ is missing; run {command_for(TABLE)}"
    return None if warehouse.is_complete(PLAYS) else f"{PLAYS}/ is missing; run {command_for(PLAYS)}"


def recommendation_data(
    sources: Sources, shown: pd.DataFrame, settings: ReportSettings
) -> tuple[dict[str, Any], dict[str, Any], Iterator[dict[str, Any]]]:
    """Return the data of sampled users, of the recommender, and the vectors of the report's songs (`shown`)."""
    embedded, factored = read_embeddings(sources.warehouse, sources.name), read_track_factors(sources.warehouse)
    tracks = np.union1d(embedded.track_ids, factored.track_ids)
    directions = _aligned(tracks, embedded.track_ids, unit_rows(embedded.vectors))
    factors = _aligned(tracks, factored.track_ids, factored.vectors)
    users, user_factors = _sampled_users(sources, settings, factors.shape[1])
    plays = _plays(sources, users, tracks)
    listeners = Listeners(users.tolist(), plays, user_factors, factors, directions)
    shown_ids = shown["track_id"].to_numpy(str)
    references = {track: number for number, track in enumerate(shown_ids.tolist())}

    def refer(place: int) -> int:
        """Return the row of a song of the report, otherwise -1, -2, … into ``others``."""
        return references.setdefault(str(tracks[place]), len(shown_ids) - len(references) - 1)

    lists = users_data(listeners, refer)
    others = list(references)[len(shown_ids) :]
    inside = np.searchsorted(tracks, shown_ids)
    gram = factored.vectors.T.astype(np.float64) @ factored.vectors  # of all tracks, in the report or not
    parameters = AlsParameters(**sources.json(TABLE, METADATA_FILE)["parameters"])
    recommender = {
        "songs": len(shown),
        "per_file": VECTORS,
        "rank": factors.shape[1],
        "size": directions.shape[1],
        "gram": packed(gram.astype(np.float32)),
        # Increase of the confidence, which is 1 without plays, by one play.
        "beyond": parameters.alpha * float(np.log1p(1 / parameters.epsilon)),
        "regularisation": parameters.regularisation,
        "length": LENGTH,
        "depth": DEPTH,
        "offset": OFFSET,
    }
    parts = (inside[chunk] for _, chunk in chunks(len(shown), VECTORS))
    vectors = ({"factors": packed_rows(factors[part]), "directions": packed_rows(directions[part])} for part in parts)
    return {"users": lists, "others": names_of(sources, others)}, recommender, vectors


def _aligned(tracks: np.ndarray, ids: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return one row per track; NaN for tracks without a vector."""
    rows = np.full((len(tracks), vectors.shape[1]), np.nan, np.float32)
    rows[np.searchsorted(tracks, ids)] = vectors
    return rows


def _sampled_users(sources: Sources, settings: ReportSettings, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted ids and the factors of a random sample of users."""
    known = np.sort(sources.rows(pc.field("kind") == USER, ["id"], TABLE)["id"].to_numpy(str))
    size = min(settings.users, len(known))
    users = np.sort(np.random.default_rng(settings.seed).choice(known, size, replace=False))
    where = (pc.field("kind") == USER) & pc.field("id").isin(pa.array(users.tolist(), pa.string()))
    rows = sources.rows(where, ["id", "factors"], TABLE).drop_duplicates("id").set_index("id").loc[users]
    return users, np.array(rows["factors"].to_list(), np.float32).reshape(size, rank)


def _plays(sources: Sources, users: np.ndarray, tracks: np.ndarray) -> sparse.csr_matrix:
    """Return play counts, shape ``(users, tracks)``; other tracks are left out."""
    where = pc.field("user_id").isin(pa.array(users.tolist(), pa.string()))
    rows = sources.rows(where, ["user_id", "track_id", "plays"], PLAYS)
    rows = rows[rows["track_id"].isin(tracks)]
    user = np.searchsorted(users, rows["user_id"].to_numpy(str))
    track = np.searchsorted(tracks, rows["track_id"].to_numpy(str))
    return sparse.csr_matrix((rows["plays"].to_numpy(np.int64), (user, track)), shape=(len(users), len(tracks)))


def names_of(sources: Sources, track_ids: list[str]) -> list[list[str | None]]:
    """Return [track id, artist, title] of tracks, with None for names that ``songs/`` lacks."""
    if not track_ids or not sources.warehouse.is_complete("songs"):
        return [[track, None, None] for track in track_ids]
    rows = sources.rows(pc.field("track_id").isin(track_ids), ["track_id", "artist_name", "title"], "songs")
    names = rows.drop_duplicates("track_id").set_index("track_id").reindex(track_ids)
    return [[track, *row] for track, row in zip(track_ids, rows_of(names, ["artist_name", "title"]), strict=True)]
