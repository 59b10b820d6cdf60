"""Write ``factors/`` and ``recommendations/``: read listens, search, fit, evaluate, write."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from msd_spark.core import schemas
from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.delta import TableWriter
from msd_spark.core.runs import newest_run
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors import metrics
from msd_spark.factors.cold import WarmAndCold, cold_factors, split_tracks
from msd_spark.factors.cold_evaluation import evaluate_cold_songs, read_predictions
from msd_spark.factors.confidence import fit_rows
from msd_spark.factors.evaluation import als_recommender, baseline_makers, evaluate, table
from msd_spark.factors.held_out import Split, split
from msd_spark.factors.listens import Listens, TooFewListensError, keep_frequent, read_listens
from msd_spark.factors.recommendations import write_recommendations
from msd_spark.factors.search import SEARCHED_BY, search
from msd_spark.factors.settings import (
    METADATA_FILE,
    RECOMMENDATIONS,
    SEARCH_FILE,
    TABLE,
    TRACK,
    USER,
    AlsParameters,
    FactorSettings,
)
from msd_spark.factors.spark_als import Factors, Fitter
from msd_spark.spark.session import start_spark

ALS = "ALS"
SCRATCH = "listens"
"""Folder for the listens that Spark's workers read; removed before the table is committed."""


def run(settings: FactorSettings) -> None:
    """Run ``msd-spark factors``."""
    warehouse = Warehouse(settings.warehouse)
    if settings.cold.evaluate:
        warehouse.require(TABLE)
        run_name = settings.cold.run or newest_run(warehouse)
        read_predictions(warehouse, run_name)
        evaluate_cold_songs(start_spark("msd-spark factors"), settings, run_name).finish(warehouse)
        return
    warehouse.require("plays")
    if settings.cold_dataset:
        warehouse.require("dataset", settings.cold_dataset)
    make_factors(start_spark("msd-spark factors"), settings).finish(warehouse)


def make_factors(session: SparkSession, settings: FactorSettings) -> Summary:
    """Fit factors to ``plays/``, evaluate and write them; return the summary."""
    summary = Summary(TABLE)
    warehouse = Warehouse(settings.warehouse)
    try:
        tracks, frequent, rounds, users = _read(warehouse, settings, summary)
    except TooFewListensError as error:
        if not settings.allow_too_few:
            raise
        for name in (TABLE, RECOMMENDATIONS):
            warehouse.remove(name)  # an earlier run wrote it from other listens
        summary.facts |= {"tracks with factors": 0, "too few listens": str(error)}
        return summary
    with warehouse.overwriting(schemas.FACTORS, TABLE) as writer:
        fitter = Fitter(session, warehouse, writer.scratch(SCRATCH), settings)
        parameters, trials = settings.als, list[dict[str, Any]]()
        if users and settings.search:
            parameters, trials = _search(fitter, users, settings)
        listens, factors, quality = _fit(fitter, frequent, users, parameters, settings)
        summary.facts |= {"users with factors": len(factors.users), "tracks with factors": len(factors.tracks)}
        cold = None
        if tracks:
            cold = cold_factors(tracks.cold, factors.users, factors.user_factors, parameters, settings.min_listeners)
            summary.facts["cold tracks with factors"] = len(cold[0])
        user_files = _write(writer, factors, cold, settings.users_per_task)
        metadata = {
            "parameters": asdict(parameters),
            "settings": {
                name: value
                for name, value in asdict(settings).items()
                if name not in ("warehouse", "als", "users_per_task", "cold", "keep_versions")
            },
            "counts": summary.facts.copy(),
            "rounds": rounds,
            "judged": quality,
        }
        writer.write_json(metadata, METADATA_FILE)
        if trials:
            writer.write_json({"by": SEARCHED_BY, "trials": trials}, SEARCH_FILE)
        _recommend(fitter, listens, factors, user_files, summary)
    summary.facts |= {name: value for name, value in asdict(parameters).items() if name != "iterations"}
    if quality:
        summary.facts["NDCG@100 on test users"] = round(quality["recommenders"][ALS]["ndcg@100"][0], 4)
        summary.facts["als over popularity"] = quality["als_over_popularity"][0]
    summary.details |= {"judged": quality, "search": trials}
    return summary


def _read(
    warehouse: Warehouse, settings: FactorSettings, summary: Summary
) -> tuple[WarmAndCold | None, Listens, list[dict[str, int]], Split | None]:
    listens = read_listens(warehouse)
    tracks = split_tracks(warehouse, listens, settings.cold_dataset) if settings.cold_dataset else None
    frequent, rounds = keep_frequent(tracks.warm if tracks else listens, settings.min_tracks, settings.min_listeners)
    users = split(frequent, settings.held_out, settings.seed) if settings.held_out else None
    facts = summary.facts
    facts |= {f"{name} in plays/": count for name, count in listens.counts().items()}
    if tracks:
        facts |= {
            "tracks outside the dataset": tracks.elsewhere,
            "cold tracks": len(tracks.cold.tracks),
            "cold pairs": tracks.cold.plays.nnz,
        }
    facts |= {f"{name} kept": count for name, count in frequent.counts().items()}
    facts["rounds of filtering"] = len(rounds)
    if users:
        facts |= {
            "users trained on": len(users.train.users),
            "validation users": len(users.validation.n_held),
            "test users": len(users.test.n_held),
            "held-out users with too few tracks": users.validation.too_few + users.test.too_few,
            "held-out pairs of unknown tracks": users.unknown_pairs,
        }
    return tracks, frequent, rounds, users


def _search(fitter: Fitter, users: Split, settings: FactorSettings) -> tuple[AlsParameters, list[dict[str, Any]]]:
    def value_of(parameters: AlsParameters) -> float:
        factors = fitter.fit("train", users.train, parameters)
        value = evaluate(lambda: als_recommender(factors.track_factors, parameters), users.validation).mean(SEARCHED_BY)
        print(f"NDCG@100 {value:.4f} on validation users: {asdict(parameters)}", flush=True)
        return value

    return search(settings.als, settings.search, settings.seed, value_of)


def _fit(
    fitter: Fitter, listens: Listens, users: Split | None, parameters: AlsParameters, settings: FactorSettings
) -> tuple[Listens, Factors, dict[str, Any] | None]:
    if not users:
        return listens, fitter.fit("all", listens, parameters), None
    started = time.monotonic()
    factors = fitter.fit("train", users.train, parameters)
    quality = _evaluate(factors, time.monotonic() - started, users, parameters, settings)
    print(table(quality["recommenders"]), end="\n\n")
    if settings.refit:
        return listens, fitter.fit("all", listens, parameters), quality
    return *_fold_in(listens, factors, parameters), quality


def _evaluate(
    factors: Factors, fit_seconds: float, users: Split, parameters: AlsParameters, settings: FactorSettings
) -> dict[str, Any]:
    """Evaluate all recommenders on the test users, and ALS on the validation users too."""
    makers = baseline_makers(users.train.plays, settings.baselines, settings.seed)
    results = {name: evaluate(make, users.test) for name, make in makers.items()}
    als = als_recommender(factors.track_factors, parameters)
    results[ALS] = replace(evaluate(lambda: als, users.test), fit_seconds=fit_seconds)
    als_ndcg, popularity_ndcg = (results[name].by_user[SEARCHED_BY] for name in (ALS, "popularity"))
    bootstrap = Bootstrap()
    return {
        "users": len(users.test.n_held),
        "recommenders": {name: result.as_json(settings.seed) for name, result in results.items()},
        "als_over_popularity": metrics.ratio_with_interval(als_ndcg, popularity_ndcg, settings.seed),
        f"validation_{SEARCHED_BY}": evaluate(lambda: als, users.validation).mean(SEARCHED_BY),
        "interval": f"{bootstrap.level:.0%}, {bootstrap.resamples} resamples of users, percentile method",
    }


def _fold_in(listens: Listens, factors: Factors, parameters: AlsParameters) -> tuple[Listens, Factors]:
    """Add held-out users, fitted to the track factors with all their listens."""
    listens = listens.of_tracks(np.isin(listens.tracks, factors.tracks))
    listens = listens.of_users(np.diff(listens.plays.indptr) > 0)
    fitted = np.isin(listens.users, factors.users)
    user_factors = np.empty((len(listens.users), parameters.rank), np.float32)
    user_factors[fitted] = factors.user_factors
    user_factors[~fitted] = fit_rows(listens.plays[~fitted], factors.track_factors, parameters)
    return listens, Factors(listens.users, listens.tracks, user_factors, factors.track_factors)


def _write(
    writer: TableWriter,
    factors: Factors,
    cold: tuple[np.ndarray, np.ndarray] | None,
    users_per_part: int,
) -> list[str]:
    """Write the factors; return the paths of the files with those of users."""
    tracks, track_factors = factors.tracks, factors.track_factors
    if cold:
        tracks, track_factors = np.concatenate([tracks, cold[0]]), np.concatenate([track_factors, cold[1]])
        order = np.argsort(tracks)
        tracks, track_factors = tracks[order], track_factors[order]
    writer.write(_rows(TRACK, tracks, track_factors))
    for start in range(0, len(factors.users), users_per_part):
        block = slice(start, start + users_per_part)
        writer.write(_rows(USER, factors.users[block], factors.user_factors[block]))
    return [f"{writer.table.path}/{file.name}" for file in writer.files[1:]]


def _rows(kind: str, ids: np.ndarray, factors: np.ndarray) -> pa.Table:
    offsets = pa.array(np.arange(0, factors.size + 1, factors.shape[1], dtype=np.int32))
    values = pa.ListArray.from_arrays(offsets, pa.array(factors.ravel(), pa.float32()))
    return pa.table(
        [pa.array([kind] * len(ids)), pa.array(ids.astype(object), pa.string()), values], schema=schemas.FACTORS
    )


def _recommend(fitter: Fitter, listens: Listens, factors: Factors, user_files: list[str], summary: Summary) -> None:
    """Write or remove ``recommendations/``; then remove the temporary listens."""
    warehouse = fitter.warehouse
    if fitter.settings.recommendations:
        with warehouse.overwriting(schemas.RECOMMENDATIONS, RECOMMENDATIONS) as writer:
            rows, short = write_recommendations(fitter, listens, factors, user_files, writer)
        summary.facts |= {"recommendations": rows, "users with fewer": short}
    else:
        warehouse.remove(RECOMMENDATIONS)  # an earlier run wrote it from other factors
    warehouse.remove(*fitter.folder.removeprefix(f"{warehouse.root}/").split("/"))
