"""Evaluate a run with the target ``factors`` as a recommender of songs without listens.

User factors come from train songs alone (``--cold``); the songs to rank are those of the test split, whose artists are
in no other split. Every recommender ranks the same songs for the same users by the product of vectors. Listens to cold
songs are used for the evaluation only.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.dataset as pads
from pyspark.sql import SparkSession
from scipy import sparse
from tabulate import tabulate

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.catalogue.raw_features import COLUMNS, SCHEMA, WITH_SEGMENTS, arrange, feature_batches, standardise
from msd_spark.core.errors import UserError
from msd_spark.core.runs import EVALUATIONS, read_run, run_file
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors import metrics
from msd_spark.factors.baselines import heard
from msd_spark.factors.cold import split_tracks
from msd_spark.factors.held_out import uniform_hash
from msd_spark.factors.listens import Listens, read_listens
from msd_spark.factors.ranking import best, hits_of, in_blocks
from msd_spark.factors.settings import METADATA_FILE, TABLE, USER, FactorSettings
from msd_spark.neighbours.factor_space import read_track_factors
from msd_spark.neighbours.space import unit
from msd_spark.spark.session import progress
from msd_spark.spark.tables import map_table

FILE = "cold-songs.json"
CLOSE = 1e-4
"""Largest difference between the run's true factors and ``factors/``: rounding of a float32 copy."""

PLACES = 100
METRICS = ("ndcg@100", "auc")
RANDOM = "random"


Vectors = tuple[np.ndarray, np.ndarray]
"""A recommender's vectors of users ``(m, size)`` and songs ``(n, size)``, float32."""


@dataclass(frozen=True)
class Predictions:
    """Test songs of a run that have true factors, sorted by track id; factors are float32."""

    track_ids: np.ndarray
    true: np.ndarray
    predicted: np.ndarray


def evaluate_cold_songs(session: SparkSession, settings: FactorSettings, run: str) -> Summary:
    """Write ``evaluations/RUN/cold-songs.json`` and print its table; return the summary."""
    summary = Summary("cold")
    warehouse = Warehouse(settings.warehouse)
    songs = read_predictions(warehouse, run)
    factors = read_track_factors(warehouse)
    cold_dataset = warehouse.read_json(TABLE, METADATA_FILE)["settings"]["cold_dataset"]
    if cold_dataset is None:
        raise UserError(
            "factors/ is fitted to all songs, including the cold ones; "
            "run msd-spark factors --cold DATASET, then msd-spark dataset --factors and msd-spark train again"
        )
    row = np.searchsorted(factors.track_ids, songs.track_ids).clip(0, max(len(factors) - 1, 0))
    same = factors.vectors.shape[1] == songs.true.shape[1] and (factors.track_ids[row] == songs.track_ids).all()
    if not same or np.abs(factors.vectors[row] - songs.true).max() > CLOSE:
        raise UserError(
            "factors/ differs from the run's true factors; run msd-spark dataset --factors and msd-spark train again"
        )
    listens = split_tracks(warehouse, read_listens(warehouse), cold_dataset)
    warm = np.intersect1d(songs.track_ids, listens.warm.tracks)
    if len(warm):
        raise UserError(
            f"{len(warm)} test songs of {run} are train songs of dataset/{cold_dataset}, for example {warm[0]}; "
            "make both datasets with the same split rule"
        )
    rows = warehouse.read_table(["id", "factors"], TABLE, filter=pads.field("kind") == USER).sort_by("id")
    users = rows["id"].to_numpy().astype(str)
    vectors = rows["factors"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    evaluated, cold, history = _users(listens.warm, listens.cold, users, songs.track_ids, factors.track_ids, settings)
    user_factors = vectors.reshape(len(users), -1)[evaluated]
    summary.facts |= {
        "run": run,
        "cold songs": len(songs.track_ids),
        "users": len(evaluated),
        "listens to cold songs": cold.nnz,
    }
    recommenders = {
        "predicted from audio": (user_factors, songs.predicted),
        **_content(session, warehouse, songs.track_ids, history, settings.cold.genre_run),
        "true factors": (user_factors, songs.true),
    }
    results = evaluate_recommenders(recommenders, cold, settings.seed)
    warehouse.write_json({"cold_songs": results, "counts": summary.facts}, EVALUATIONS, run, FILE)
    print(table(results), end="\n\n")
    summary.details["cold_songs"] = results
    return summary


def read_predictions(warehouse: Warehouse, run: str) -> Predictions:
    """Read a run's predicted factors of its test songs."""
    read_run(warehouse, run)
    names = run_file(warehouse, run, "predictions", "test.parquet")
    if not warehouse.exists(*names):
        command = shlex.join(["msd-spark", "train", "--target", "factors", "--run", run])
        raise UserError(f"{warehouse.path(*names)} is missing; run {command}")
    rows = warehouse.read_parquet(*names)
    if str(rows.schema.field("predicted").type) != "list<item: float>" and "probabilities" in rows.column_names:
        raise UserError(f"run {run} does not predict factors; run msd-spark train --target factors, or name another")
    rows = rows.filter(rows["true"].is_valid()).sort_by("track_id")
    if not rows.num_rows:
        raise UserError(f"no test song of run {run} has factors; run msd-spark dataset --factors and train again")
    arrays = (np.array(rows[name].to_pylist(), np.float32) for name in ("true", "predicted"))
    return Predictions(rows["track_id"].to_numpy().astype(str), *arrays)


def _users(
    warm: Listens, cold: Listens, users: np.ndarray, ids: np.ndarray, fitted: np.ndarray, settings: FactorSettings
) -> tuple[np.ndarray, sparse.csr_matrix, Listens]:
    """Return the evaluated users' rows, and their listens to cold and to fitted train songs."""
    rows = np.searchsorted(warm.users, users)
    listens = cold.of_tracks(np.isin(cold.tracks, ids)).of_users(rows)
    if len(listens.tracks) != len(ids):
        raise UserError("plays/ lacks songs with factors; run msd-spark factors again")
    n_heard = np.diff(listens.plays.indptr)
    evaluated = np.flatnonzero((n_heard > 0) & (n_heard < len(ids)))
    if not len(evaluated):
        raise UserError(f"no user with factors plays some, but not all, of the {len(ids)} cold songs")
    order = np.argsort(uniform_hash(users[evaluated], settings.seed), kind="stable")
    evaluated = np.sort(evaluated[order[: settings.cold.users]])
    history = warm.of_users(rows[evaluated]).of_tracks(np.isin(warm.tracks, fitted))
    return evaluated, listens.plays[evaluated], history


def _content(
    session: SparkSession, warehouse: Warehouse, ids: np.ndarray, warm: Listens, genre_run: str | None
) -> dict[str, Vectors]:
    """Return the content-based recommenders: raw audio features, and a run's embeddings."""
    warehouse.require("songs")
    tracks = np.union1d(ids, warm.tracks)
    with progress(session, "cold: raw features"):
        features = map_table(session, warehouse, "songs", COLUMNS, feature_batches, SCHEMA, WITH_SEGMENTS)
        raw, _ = arrange(features.toPandas(), tracks)
    spaces = {"nearest by raw audio": (tracks, standardise(raw))}
    if genre_run:
        embedded = read_embeddings(warehouse, genre_run)
        spaces["nearest by genre embedding"] = (embedded.track_ids, embedded.vectors)
    recommenders = {}
    for name, (known, vectors) in spaces.items():
        history = warm.of_tracks(np.isin(warm.tracks, known))
        of_songs = np.zeros((len(ids), vectors.shape[1]))
        has_vector = np.isin(ids, known)
        of_songs[has_vector] = unit(vectors[np.searchsorted(known, ids[has_vector])])
        of_users = profiles(history.plays, vectors[np.searchsorted(known, history.tracks)])
        recommenders[name] = of_users, of_songs.astype(np.float32)
    return recommenders


def profiles(history: sparse.csr_matrix, features: np.ndarray) -> np.ndarray:
    """Return users as the mean of their songs' unit vectors.

    The product with a song's unit vector is the mean cosine between it and the user's songs. Plays are ``(m, n)``,
    features ``(n, size)``.
    """
    binary = heard(history)
    return np.asarray((binary @ unit(features)) / np.maximum(np.diff(binary.indptr), 1)[:, None], np.float32)


def evaluate_recommenders(recommenders: Mapping[str, Vectors], played: sparse.csr_matrix, seed: int) -> dict[str, Any]:
    """Return the metrics of each recommender and of random scores, and their differences.

    `played`, of shape ``(m, n)``, has the cold songs that each user plays: at least one, and not all. The result has by
    name each of `METRICS` with its interval by resampling users; ``over_random`` has those of the differences to random
    scores, on the same resamples.
    """
    generator = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (RANDOM, *recommenders)}
    for block in in_blocks(*played.shape):
        plays = played[block]
        positive = plays.toarray() > 0
        for name, values in parts.items():
            if name == RANDOM:
                scores = generator.random(positive.shape, np.float32)
            else:
                users, songs = recommenders[name]
                scores = users[block] @ songs.T
            hits = hits_of(best(scores, min(PLACES, played.shape[1])), plays)
            ndcg = metrics.ndcg_at(hits, np.diff(plays.indptr), PLACES)
            values.append(np.column_stack([ndcg, metrics.auc(scores, positive)]))
    by_user = {name: np.concatenate(values) for name, values in parts.items()}

    def summarise(values: np.ndarray) -> dict[str, Any]:
        return metrics.with_intervals(dict(zip(METRICS, values.T, strict=True)), seed)

    results = {name: summarise(values) for name, values in by_user.items()}
    for name in recommenders:
        results[name]["over_random"] = summarise(by_user[name] - by_user[RANDOM])
    return results


def table(results: Mapping[str, Any]) -> str:
    """Return the results of `evaluate_recommenders` as a printed table."""
    rows = [
        [name, *(metrics.shown(result[metric]) for metric in METRICS)]
        + [metrics.shown(result["over_random"]["auc"]) for _ in range("over_random" in result)]
        for name, result in results.items()
    ]
    return tabulate(rows, ["cold songs by", *METRICS, "auc over random"], "simple")
