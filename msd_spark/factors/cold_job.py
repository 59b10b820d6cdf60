"""Judge a run with the target ``factors`` as a recommender of songs that nobody has heard yet.

Users' factors come from train songs alone (``jobs/factors.py --cold``); the songs are those of the test split, whose
artists are in no other. What is compared ranks the same songs for the same users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from scipy import sparse

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.catalogue.raw_features import read_raw_features, standardise
from msd_spark.core.errors import UserError
from msd_spark.core.runs import RUNS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.cold import part
from msd_spark.factors.cold_ranking import Places, judge_cold, profiles, table, unit
from msd_spark.factors.held_out import places
from msd_spark.factors.listens import Listens, read_listens
from msd_spark.factors.settings import METADATA_FILE, TABLE, USER
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.spark.session import progress

STAGE = "cold"
FOLDER = "evaluations"
CLOSE = 1e-4
"""How far the truth that a run was judged by may be from ``factors/``: float32's roundings of a copy."""


@dataclass(frozen=True)
class ColdSettings:
    """Which run is judged, beside what.

    Attributes
    ----------
    warehouse, run : str
    genre_run : str, optional
        A run that tells genres, whose embeddings are a baseline.
    users : int
        At most so many, drawn by a seeded hash of their ids.
    seed : int
    """

    warehouse: str
    run: str
    genre_run: str | None = None
    users: int = 10_000
    seed: int = 0


def judge_cold_songs(session: SparkSession, settings: ColdSettings) -> Summary:
    """Write ``evaluations/RUN/cold-songs.json`` and print its table; return the summary.

    Raises
    ------
    UserError
        When something is missing, or the factors saw the songs that are to be cold.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    ids, true, predicted = _predictions(warehouse, settings.run)
    embedded = read_track_factors(warehouse)
    cold_dataset = warehouse.read_json(TABLE, METADATA_FILE)["settings"]["cold_dataset"]
    if cold_dataset is None:
        message = "factors/ is fitted to all songs, the cold ones too; fit it to train songs alone"
        raise UserError(f"{message} (jobs/factors.py --cold DATASET), and train again")
    _check_truth(ids, true, embedded.track_ids, embedded.vectors)
    listens = read_listens(warehouse)
    parted = part(warehouse, listens, cold_dataset)
    seen = np.intersect1d(ids, parted.warm.tracks)
    if len(seen):
        message = f"{len(seen)} test songs of {settings.run} are train songs of dataset/{cold_dataset}"
        raise UserError(f"{message}, the first is {seen[0]}; both need the same split rule")
    users, user_factors = _user_factors(warehouse)
    chosen, cold, warm = _users(parted.warm, parted.cold, users, ids, embedded.track_ids, settings)
    summary.facts |= {
        "run": settings.run,
        "cold songs": len(ids),
        "users": len(chosen),
        "listens to cold songs": cold.nnz,
    }
    recommenders = {
        "predicted from audio": Places(user_factors[chosen], predicted),
        **_content(session, warehouse, ids, warm, settings),
        "true factors": Places(user_factors[chosen], true),
    }
    judged = judge_cold(recommenders, cold, settings.seed)
    warehouse.write_json({"cold_songs": judged, "counts": summary.facts}, FOLDER, settings.run, "cold-songs.json")
    print(table(judged), end="\n\n")
    summary.details["cold_songs"] = judged
    return summary


def _predictions(warehouse: Warehouse, run: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, true and predicted factors of the test songs that have true ones, sorted by id."""
    names = (RUNS, run, "predictions", "test.parquet")
    if not warehouse.exists(*names):
        raise UserError(f"no {'/'.join(names)}; run training/train.py --target factors --run {run} first")
    found = pq.read_table(warehouse.path(*names), filesystem=warehouse.filesystem, partitioning=None)
    if str(found.schema.field("predicted").type) != "list<item: float>" and "probabilities" in found.column_names:
        raise UserError(f"{run} does not predict factors; train with --target factors")
    found = found.filter(found["true"].is_valid()).sort_by("track_id")
    if not found.num_rows:
        raise UserError(f"no test song of {run} has factors; use a dataset made with --factors")
    arrays = (np.array(found[name].to_pylist(), np.float32) for name in ("true", "predicted"))
    return found["track_id"].to_numpy().astype(str), *arrays


def _check_truth(ids: np.ndarray, true: np.ndarray, tracks: np.ndarray, factors: np.ndarray) -> None:
    place = np.searchsorted(tracks, ids).clip(0, max(len(tracks) - 1, 0))
    same = factors.shape[1] == true.shape[1] and (tracks[place] == ids).all()
    if not same or np.abs(factors[place] - true).max() > CLOSE:
        raise UserError("factors/ are not those that the run was judged by; make the dataset and train again")


def _user_factors(warehouse: Warehouse) -> tuple[np.ndarray, np.ndarray]:
    found = warehouse.read_table(["kind", "id", "factors"], TABLE)
    found = found.filter(np.asarray(found["kind"].to_numpy() == USER)).sort_by("id")
    vectors = found["factors"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return found["id"].to_numpy().astype(str), vectors.reshape(found.num_rows, -1)


def _users(
    warm: Listens, cold: Listens, users: np.ndarray, ids: np.ndarray, fitted: np.ndarray, settings: ColdSettings
) -> tuple[np.ndarray, sparse.csr_matrix, Listens]:
    """Return which users are judged, their listens to the cold songs, and those to train songs that have factors."""
    rows = np.searchsorted(warm.users, users)
    ours = cold.of_tracks(np.isin(cold.tracks, ids)).of_users(rows)
    if len(ours.tracks) != len(ids):
        raise UserError("plays/ lacks songs that have factors; run jobs/factors.py again")
    n_heard = np.diff(ours.plays.indptr)
    chosen = np.flatnonzero((n_heard > 0) & (n_heard < len(ids)))
    if not len(chosen):
        raise UserError(f"no user with factors plays some of the {len(ids)} cold songs")
    drawn = np.argsort(places(users[chosen], settings.seed), kind="stable")[: settings.users]
    chosen = np.sort(chosen[drawn])
    history = warm.of_users(rows[chosen]).of_tracks(np.isin(warm.tracks, fitted))
    return chosen, ours.plays[chosen], history


def _content(
    session: SparkSession, warehouse: Warehouse, ids: np.ndarray, warm: Listens, settings: ColdSettings
) -> dict[str, Places]:
    """Return the recommenders that know how songs sound: by raw features, and by a run's embeddings."""
    warehouse.require("songs")
    tracks = np.union1d(ids, warm.tracks)
    with progress(session, "cold: raw features"):
        raw, _ = read_raw_features(session.read.parquet(warehouse.address("songs")), tracks)
    spaces = {"nearest by raw audio": (tracks, standardise(raw))}
    if settings.genre_run:
        embedded = read_embeddings(warehouse, settings.genre_run)
        spaces["nearest by genre embedding"] = (embedded.track_ids, embedded.vectors)
    found = {}
    for name, (known, vectors) in spaces.items():
        warm_there = np.isin(warm.tracks, known)
        history = warm.of_tracks(warm_there)
        of_songs = np.zeros((len(ids), vectors.shape[1]), np.float32)
        there = np.isin(ids, known)
        of_songs[there] = vectors[np.searchsorted(known, ids[there])]
        of_users = profiles(history.plays, vectors[np.searchsorted(known, history.tracks)])
        found[name] = Places(of_users, unit(of_songs))
    return found
