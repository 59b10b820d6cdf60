"""Read what recommends songs on the page: ``factors/``, ``plays/`` and the run's embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.factors.settings import METADATA_FILE, TABLE, USER, AlsParameters
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.report.data.listeners import Listeners, unit_rows, users_data
from msd_spark.report.data.song_vectors import song_vectors_data
from msd_spark.report.data.sources import Sources
from msd_spark.report.settings import ReportSettings
from msd_spark.report.tables import is_null

PLAYS = "plays"


@dataclass(frozen=True)
class RecommendationData:
    """The page's data.

    Attributes
    ----------
    users : dict
        The sampled users, and the names of tracks that are not on the page.
    songs : dict
        Vectors of the page's songs.
    """

    users: dict[str, Any]
    songs: dict[str, Any]


def why_absent(sources: Sources) -> str | None:
    """Return why nothing can be recommended, in a line with what to run; None where it can."""
    if not sources.warehouse.is_complete(TABLE) or sources.json(TABLE, METADATA_FILE) is None:
        return f"there is no {TABLE}/; run jobs/factors.py"
    if not sources.warehouse.is_complete(PLAYS):
        return f"there is no {PLAYS}/; run jobs/plays.py"
    return None


def read_recommendation_data(sources: Sources, shown: pd.DataFrame, settings: ReportSettings) -> RecommendationData:
    """Return what the page needs to recommend songs to some users, and from songs.

    Parameters
    ----------
    sources : Sources
        Of a warehouse where nothing is missing, see `why_absent`.
    shown : pandas.DataFrame
        The page's songs, by ``track_id``.
    settings : ReportSettings
        Its number of users and its seed count here.

    Raises
    ------
    UserError
        When ``factors/`` is not whole.
    """
    embedded, factored = (
        read_embeddings(sources.warehouse, sources.name),
        read_track_factors(sources.warehouse),
    )
    tracks = np.union1d(embedded.track_ids, factored.track_ids)
    directions = _at(tracks, embedded.track_ids, unit_rows(embedded.vectors))
    factors = _at(tracks, factored.track_ids, factored.vectors)
    parameters = AlsParameters(**sources.json(TABLE, METADATA_FILE)["parameters"])
    users, user_factors = _sampled_users(sources, settings)
    plays = _plays(sources, users, tracks)
    listeners = Listeners(users.tolist(), plays, user_factors, factors, directions)
    names = _Names(tracks, shown["track_id"].to_numpy(str))
    content = users_data(listeners, names.refer)
    on_page = np.searchsorted(tracks, names.on_page)
    gram = factored.vectors.T.astype(np.float64) @ factored.vectors
    songs = song_vectors_data(factors[on_page], directions[on_page], gram, parameters)
    return RecommendationData({"users": content, "others": names.others(sources)}, songs)


def _at(tracks: np.ndarray, ids: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    placed = np.full((len(tracks), vectors.shape[1]), np.nan, np.float32)
    placed[np.searchsorted(tracks, ids)] = vectors
    return placed


def _sampled_users(sources: Sources, settings: ReportSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return ids, in order, and factors of a seeded sample of the users that have factors."""
    known = np.sort(sources.rows(pc.field("kind") == USER, ["id"], TABLE)["id"].to_numpy(str))
    size = min(settings.users, len(known))
    users = np.sort(np.random.default_rng(settings.seed).choice(known, size, replace=False))
    if not size:
        return users, np.empty((0, AlsParameters(**sources.json(TABLE, METADATA_FILE)["parameters"]).rank), np.float32)
    where = (pc.field("kind") == USER) & pc.field("id").isin(pa.array(users.tolist(), pa.string()))
    rows = sources.rows(where, ["id", "factors"], TABLE).drop_duplicates("id").set_index("id").loc[users]
    return users, np.stack(rows["factors"].to_list()).astype(np.float32)


def _plays(sources: Sources, users: np.ndarray, tracks: np.ndarray) -> sparse.csr_matrix:
    """Return how often each user played each track; tracks with neither factors nor an embedding are left out."""
    where = pc.field("user_id").isin(pa.array(users.tolist(), pa.string()))
    rows = sources.rows(where, ["user_id", "track_id", "plays"], PLAYS)
    rows = rows[rows["track_id"].isin(tracks)]
    places = (
        np.searchsorted(users, rows["user_id"].to_numpy(str)),
        np.searchsorted(tracks, rows["track_id"].to_numpy(str)),
    )
    return sparse.csr_matrix((rows["plays"].to_numpy(np.int64), places), shape=(len(users), len(tracks)))


class _Names:
    """What names a track in the page's data: its number on the page, or -1, -2, … of those that are not there."""

    def __init__(self, tracks: np.ndarray, on_page: np.ndarray) -> None:
        self.tracks, self.on_page = tracks, on_page
        self._numbers = {track: number for number, track in enumerate(on_page.tolist())}
        self._others: list[str] = []

    def refer(self, place: int) -> int:
        track = str(self.tracks[place])
        if track not in self._numbers:
            self._others.append(track)
            self._numbers[track] = -len(self._others)
        return self._numbers[track]

    def others(self, sources: Sources) -> list[list[str | None]]:
        """Return [track id, artist, title] of the tracks that are not on the page, -1 first."""
        return names_of(sources, self._others)


def names_of(sources: Sources, track_ids: list[str]) -> list[list[str | None]]:
    """Return [track id, artist, title] of tracks; None where ``songs/`` does not know."""
    if not track_ids or not sources.warehouse.is_complete("songs"):
        return [[track, None, None] for track in track_ids]
    columns = ["track_id", "artist_name", "title"]
    rows = sources.rows(pc.field("track_id").isin(track_ids), columns, "songs")
    known = rows.drop_duplicates("track_id").set_index("track_id").reindex(track_ids)
    return [
        [track, *(None if is_null(value) else str(value) for value in values)]
        for track, values in zip(track_ids, known.itertuples(index=False), strict=True)
    ]
