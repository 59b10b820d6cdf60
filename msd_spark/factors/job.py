"""Write ``factors/`` and ``recommendations/``: take the listens, search, fit, judge, write."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from msd_spark.core.schemas import FACTORS
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors import metrics
from msd_spark.factors.cold import Parted, cold_factors, part
from msd_spark.factors.confidence import fit_rows
from msd_spark.factors.fitting import Factors, Fitter
from msd_spark.factors.held_out import Split, split
from msd_spark.factors.judging import als_recommender, baseline_makers, judge, over, table
from msd_spark.factors.listens import Filtered, Listens, TooFewListensError, keep_frequent, read_listens
from msd_spark.factors.recommendations import block_writer, ship, write_recommendations
from msd_spark.factors.search import SEARCHED_BY, search
from msd_spark.factors.settings import (
    METADATA_FILE,
    RECOMMENDATIONS,
    SEARCH_FILE,
    STAGE,
    TABLE,
    TRACK,
    USER,
    AlsParameters,
    FactorSettings,
)
from msd_spark.factors.spark_als import part_path

ALS = "ALS"
SCRATCH = "_listens"
"""Folder within the staging folder for listens that Spark's workers read; gone before the table is there."""


def make_factors(session: SparkSession, settings: FactorSettings) -> Summary:
    """Fit factors to ``plays/``, judge them, write them; return the summary.

    Raises
    ------
    UserError
        When tables are missing, or too few listens are left to do what was asked and that is not allowed.
    """
    summary = Summary(STAGE)
    warehouse = Warehouse(settings.warehouse)
    try:
        parted, filtered, parts = _take_listens(warehouse, settings, summary)
    except TooFewListensError as error:
        if not settings.allow_too_few:
            raise
        for name in (TABLE, RECOMMENDATIONS):
            warehouse.remove(name)  # what an earlier run wrote there came from other listens
        summary.facts |= {"tracks with factors": 0, "too few listens": str(error)}
        return summary
    with warehouse.replacing(TABLE) as staging:
        fitter = Fitter(session, warehouse, f"{staging}/{SCRATCH}", settings)
        parameters = settings.parameters
        tried: list[dict[str, Any]] = []
        if parts and settings.search:
            parameters, tried = _search(fitter, parts, settings)
        started = time.monotonic()
        factors = fitter.fit("train" if parts else "all", parts.train if parts else filtered.listens, parameters)
        fit_seconds = time.monotonic() - started
        quality = _judge(factors, fit_seconds, parts, parameters, settings) if parts else None
        if quality:
            print(table(quality["recommenders"]), end="\n\n")
        listens = filtered.listens
        if parts and settings.refit:
            factors = fitter.fit("all", listens, parameters)
        elif parts:
            listens, factors = _with_everybody(listens, factors, parameters)
        summary.facts |= {"users with factors": len(factors.users), "tracks with factors": len(factors.tracks)}
        cold = None
        if parted:
            cold = cold_factors(parted.cold, factors.users, factors.user_factors, parameters, settings.min_listeners)
            summary.facts["cold tracks with factors"] = len(cold[0])
        _write(warehouse, staging, factors, cold, settings.users_per_task)
        inner = staging.removeprefix(f"{warehouse.root}/")
        metadata = {
            "parameters": asdict(parameters),
            "settings": {
                name: value
                for name, value in asdict(settings).items()
                if name not in ("warehouse", "parameters", "users_per_task")
            },
            "counts": summary.facts.copy(),
            "rounds": list(filtered.rounds),
            "judged": quality,
        }
        warehouse.write_json(metadata, inner, METADATA_FILE)
        if tried:
            warehouse.write_json({"by": SEARCHED_BY, "trials": tried}, inner, SEARCH_FILE)
        if settings.recommendations:
            with warehouse.replacing(RECOMMENDATIONS) as beside:
                rows, short = _recommend(session, fitter, listens, factors, staging, beside, settings)
                warehouse.remove(*inner.split("/"), SCRATCH)
            summary.facts |= {"recommendations": rows, "users with fewer": short}
        else:
            # What an earlier run wrote there came from other factors.
            warehouse.remove(RECOMMENDATIONS)
            warehouse.remove(*inner.split("/"), SCRATCH)
    summary.facts |= {name: value for name, value in asdict(parameters).items() if name != "iterations"}
    if quality:
        summary.facts["NDCG@100 on test users"] = round(quality["recommenders"][ALS]["ndcg@100"][0], 4)
        summary.facts["als over popularity"] = quality["als_over_popularity"][0]
    summary.details |= {"judged": quality, "search": tried}
    return summary


def _take_listens(
    warehouse: Warehouse, settings: FactorSettings, summary: Summary
) -> tuple[Parted | None, Filtered, Split | None]:
    """Return the listens that take part, and who is held out; note how many there are."""
    everything = read_listens(warehouse)
    parted = part(warehouse, everything, settings.cold_dataset) if settings.cold_dataset else None
    filtered = keep_frequent(parted.warm if parted else everything, settings.min_tracks, settings.min_listeners)
    parts = split(filtered.listens, settings.held_out, settings.seed) if settings.held_out else None
    _tell_counts(summary, everything, parted, filtered, parts)
    return parted, filtered, parts


def _tell_counts(
    summary: Summary, everything: Listens, parted: Parted | None, filtered: Filtered, parts: Split | None
) -> None:
    facts = {f"{name} in plays/": count for name, count in everything.counts().items()}
    if parted:
        facts |= {
            "tracks outside the dataset": parted.elsewhere,
            "cold tracks": len(parted.cold.tracks),
            "cold pairs": parted.cold.plays.nnz,
        }
    kept = filtered.listens.counts()
    facts |= {f"{name} kept": count for name, count in kept.items()}
    facts["rounds of filtering"] = len(filtered.rounds)
    if parts:
        facts |= {
            "users trained on": len(parts.train.users),
            "validation users": parts.validation.held.shape[0],
            "test users": parts.test.held.shape[0],
            "held-out users with too few tracks": parts.validation.too_few + parts.test.too_few,
            "held-out pairs of unknown tracks": parts.unknown_pairs,
        }
    summary.facts |= facts


def _search(fitter: Fitter, parts: Split, settings: FactorSettings) -> tuple[AlsParameters, list[dict[str, Any]]]:
    def value_of(parameters: AlsParameters) -> float:
        factors = fitter.fit("train", parts.train, parameters)
        judged = judge(lambda: als_recommender(factors.track_factors, parameters), parts.validation)
        print(f"NDCG@100 {judged.mean(SEARCHED_BY):.4f} on validation users: {asdict(parameters)}", flush=True)
        return judged.mean(SEARCHED_BY)

    return search(settings.parameters, settings.search, settings.seed, value_of)


def _judge(
    factors: Factors, fit_seconds: float, parts: Split, parameters: AlsParameters, settings: FactorSettings
) -> dict[str, Any]:
    """Judge all recommenders on the test users, and ALS on the validation users too."""
    makers = baseline_makers(parts.train.plays, settings.baselines, settings.seed)
    judged = {name: judge(make, parts.test) for name, make in makers.items()}
    als = als_recommender(factors.track_factors, parameters)
    judged[ALS] = replace(judge(lambda: als, parts.test), fit_seconds=fit_seconds)
    return {
        "users": len(parts.test.n_held),
        "recommenders": {name: one.as_json(settings.seed) for name, one in judged.items()},
        "als_over_popularity": over(judged[ALS], judged["popularity"], SEARCHED_BY, settings.seed),
        f"validation_{SEARCHED_BY}": judge(lambda: als, parts.validation).mean(SEARCHED_BY),
        "interval": f"{metrics.LEVEL:.0%}, {metrics.RESAMPLES} resamples of users, percentile method",
    }


def _with_everybody(listens: Listens, factors: Factors, parameters: AlsParameters) -> tuple[Listens, Factors]:
    """Fit the users that training did not see to the tracks' factors, with all their listens."""
    listens = listens.of_tracks(np.isin(listens.tracks, factors.tracks))
    listens = listens.of_users(np.diff(listens.plays.indptr) > 0)
    known = np.isin(listens.users, factors.users)
    user_factors = np.empty((len(listens.users), parameters.rank), np.float32)
    user_factors[known] = factors.user_factors
    user_factors[~known] = fit_rows(listens.plays[~known], factors.track_factors, parameters)
    return listens, Factors(listens.users, listens.tracks, user_factors, factors.track_factors)


def _write(
    warehouse: Warehouse,
    staging: str,
    factors: Factors,
    cold: tuple[np.ndarray, np.ndarray] | None,
    users_per_part: int,
) -> None:
    """Write tracks as one file, users as a file a block."""
    tracks, track_factors = factors.tracks, factors.track_factors
    if cold:
        tracks, track_factors = np.concatenate([tracks, cold[0]]), np.concatenate([track_factors, cold[1]])
        order = np.argsort(tracks)
        tracks, track_factors = tracks[order], track_factors[order]
    _write_rows(warehouse, f"{staging}/tracks.parquet", TRACK, tracks, track_factors)
    for number, start in enumerate(range(0, len(factors.users), users_per_part)):
        ours = slice(start, start + users_per_part)
        _write_rows(warehouse, part_path(staging, number), USER, factors.users[ours], factors.user_factors[ours])


def _write_rows(warehouse: Warehouse, path: str, kind: str, ids: np.ndarray, factors: np.ndarray) -> None:
    offsets = pa.array(np.arange(0, factors.size + 1, factors.shape[1], dtype=np.int32))
    values = pa.ListArray.from_arrays(offsets, pa.array(factors.ravel(), pa.float32()))
    rows = pa.table([pa.array([kind] * len(ids)), pa.array(ids.astype(object), pa.string()), values], schema=FACTORS)
    pq.write_table(rows, path, filesystem=warehouse.filesystem, compression="zstd")


def _recommend(
    session: SparkSession,
    fitter: Fitter,
    listens: Listens,
    factors: Factors,
    staging: str,
    beside: str,
    settings: FactorSettings,
) -> tuple[int, int]:
    prefix = ship(session.sparkContext, factors.track_factors, factors.tracks)
    folder = fitter.stage("recommended", listens)
    size, k = settings.users_per_task, settings.recommendations
    work = block_writer(prefix, settings.warehouse, folder, staging, beside, size, k)
    return write_recommendations(session, work, fitter.staged["recommended"])
