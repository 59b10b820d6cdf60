"""Evaluate recommenders by the lists that they recommend to held-out users."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from tabulate import tabulate

from msd_spark.factors import baselines, metrics
from msd_spark.factors.confidence import fit_rows
from msd_spark.factors.held_out import HeldOut
from msd_spark.factors.ranking import Recommender, hits_of, recommend
from msd_spark.factors.settings import EASE_UP_TO, AlsParameters, BaselineSettings


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a recommender."""

    by_user: dict[str, np.ndarray]
    """Each of `metrics.METRICS`, shape ``(users,)``."""

    coverage: float
    fit_seconds: float
    judge_seconds: float

    def mean(self, metric: str) -> float:
        """Return a metric's mean over users."""
        return float(self.by_user[metric].mean())

    def as_json(self, seed: int) -> dict[str, Any]:
        """Return metrics with their intervals, coverage and times."""
        return {
            **metrics.with_intervals(self.by_user, seed),
            "coverage": self.coverage,
            "fit_seconds": round(self.fit_seconds, 2),
            "judge_seconds": round(self.judge_seconds, 2),
        }


def als_recommender(track_factors: np.ndarray, parameters: AlsParameters) -> Recommender:
    """Return a recommender that folds users in and scores tracks by the product of factors."""
    return lambda history: fit_rows(history, track_factors, parameters) @ track_factors.T


def evaluate(make: Callable[[], Recommender], users: HeldOut) -> Evaluation:
    """Fit a recommender and evaluate it."""
    started = time.monotonic()
    recommender = make()
    fitted = time.monotonic()
    lists = recommend(recommender, users.history, metrics.PLACES)
    by_user = metrics.of_users(hits_of(lists, users.held_out), users.n_held)
    covered = metrics.coverage(lists, users.history.shape[1])
    return Evaluation(by_user, covered, fitted - started, time.monotonic() - fitted)


def baseline_makers(
    train: sparse.csr_matrix, settings: BaselineSettings, seed: int
) -> dict[str, Callable[[], Recommender]]:
    """Return a function that fits each selected baseline; EASE only up to `EASE_UP_TO` tracks."""
    makers: dict[str, Callable[[], Recommender]] = {
        "random": lambda: baselines.chance(seed),
        "popularity": lambda: baselines.popularity(train),
    }
    if settings.item_knn:
        makers["item-kNN"] = lambda: baselines.item_knn(train, settings.neighbours, settings.shrinkage)
    if settings.ease and train.shape[1] <= EASE_UP_TO:
        makers["EASE"] = lambda: baselines.ease(train, settings.ease_regularisation)
    return makers


def table(recommenders: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the results of `Evaluation.as_json` as a printed table."""
    rows = [
        [
            name,
            *(metrics.shown(row[metric]) for metric in metrics.METRICS),
            f"{row['coverage']:.3f}",
            f"{row['fit_seconds']:.1f}",
            f"{row['judge_seconds']:.1f}",
        ]
        for name, row in recommenders.items()
    ]
    return tabulate(rows, ["recommender", *metrics.METRICS, "coverage", "fit s", "rank s"], "simple")
