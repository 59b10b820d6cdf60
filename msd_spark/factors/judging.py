"""Judge recommenders by the lists that they give to held-out users."""

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
class Judged:
    """What came out for a recommender.

    Attributes
    ----------
    by_user : dict
        Figures of `metrics.FIGURES`, shape ``(users,)`` each.
    coverage : float
    fit_seconds, judge_seconds : float
    """

    by_user: dict[str, np.ndarray]
    coverage: float
    fit_seconds: float
    judge_seconds: float

    def mean(self, figure: str) -> float:
        """Return a figure's mean over users."""
        return float(self.by_user[figure].mean())

    def as_json(self, seed: int) -> dict[str, Any]:
        """Return figures with their intervals, coverage and times."""
        figures = metrics.with_intervals(self.by_user, seed)
        return {
            **{name: figure.as_list() for name, figure in figures.items()},
            "coverage": self.coverage,
            "fit_seconds": round(self.fit_seconds, 2),
            "judge_seconds": round(self.judge_seconds, 2),
        }


def als_recommender(track_factors: np.ndarray, parameters: AlsParameters) -> Recommender:
    """Return a recommender that folds users in by their history and scores tracks by the product of factors."""
    return lambda history: fit_rows(history, track_factors, parameters) @ track_factors.T


def judge(make: Callable[[], Recommender], users: HeldOut) -> Judged:
    """Make a recommender and judge it."""
    started = time.monotonic()
    recommender = make()
    made = time.monotonic()
    lists = recommend(recommender, users.history, metrics.PLACES)
    by_user = metrics.of_users(hits_of(lists, users.held), users.n_held)
    covered = metrics.coverage(lists, users.history.shape[1])
    return Judged(by_user, covered, made - started, time.monotonic() - made)


def baseline_makers(
    train: sparse.csr_matrix, settings: BaselineSettings, seed: int
) -> dict[str, Callable[[], Recommender]]:
    """Return how to make each baseline that was asked for; EASE only where its matrix is not too large."""
    makers: dict[str, Callable[[], Recommender]] = {
        "random": lambda: baselines.chance(seed),
        "popularity": lambda: baselines.popularity(train),
    }
    if settings.item_knn:
        makers["item-kNN"] = lambda: baselines.item_knn(train, settings.neighbours, settings.shrinkage)
    if settings.ease and train.shape[1] <= EASE_UP_TO:
        makers["EASE"] = lambda: baselines.ease(train, settings.ease_regularisation)
    return makers


def over(first: Judged, second: Judged, figure: str, seed: int) -> list[float | None]:
    """Return the ratio of two recommenders' figure and its interval, on the same resamples of users.

    None where the second one's is 0.
    """
    values = np.column_stack([first.by_user[figure], second.by_user[figure]])
    means = metrics.resampled_means(values, seed)
    if not values[:, 1].any() or not means[:, 1].all():
        return [None, None, None]
    low, high = metrics.interval(means[:, 0] / means[:, 1])
    return [float(values[:, 0].mean() / values[:, 1].mean()), float(low), float(high)]


def table(judged: Mapping[str, Mapping[str, Any]]) -> str:
    """Return recommenders and their figures, as `Judged.as_json` gives them, as a table for people."""
    rows = [
        [name]
        + [f"{row[figure][0]:.4f} ({row[figure][1]:.4f}–{row[figure][2]:.4f})" for figure in metrics.FIGURES]
        + [f"{row['coverage']:.3f}", f"{row['fit_seconds']:.1f}", f"{row['judge_seconds']:.1f}"]
        for name, row in judged.items()
    ]
    return tabulate(rows, ["recommender", *metrics.FIGURES, "coverage", "fit s", "judge s"], "simple")
