"""Ranking metrics: recall, NDCG, truncated average precision, coverage and AUC.

``hits`` of shape ``(users, places)`` marks the places of each ranked list that have a held-out song, best place first;
``n_held`` counts the held-out songs of each user, at least 1. A metric has one value per user; reports have its mean.

References
----------
.. [1] D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018,
   section 4.2: the same Recall@R and NDCG@R.
.. [2] B. McFee, T. Bertin-Mahieux, D. Ellis, G. Lanckriet, "The Million Song Dataset Challenge", AdMIRe 2012,
   section 3: truncated mean average precision at 500.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import rankdata

from msd_spark.core.bootstrap import Bootstrap, percentile_interval

PLACES = 500
"""Places per list that metrics use, as in the average precision of the MSD Challenge."""

METRICS = ("recall@20", "recall@50", "ndcg@100", "map@500")
"""Metrics of `of_users`."""

COVERED_PLACES = 100
"""Places per list that count for coverage."""


def recall_at(hits: np.ndarray, n_held: np.ndarray, places: int) -> np.ndarray:
    """Return Recall@R per user: hits in the first `places`, over the most possible [1]_."""
    return hits[:, :places].sum(axis=1) / np.minimum(n_held, places)


def ndcg_at(hits: np.ndarray, n_held: np.ndarray, places: int) -> np.ndarray:
    """Return NDCG@R per user: ``sum 1/log2(place + 1)`` over the hits, over the best sum [1]_."""
    discounts = 1 / np.log2(np.arange(2, places + 2))
    gained = hits[:, :places] @ discounts[: hits.shape[1]]
    return np.asarray(gained / np.cumsum(discounts)[np.minimum(n_held, places) - 1])


def average_precision_at(hits: np.ndarray, n_held: np.ndarray, places: int) -> np.ndarray:
    """Return average precision per user: summed precision at each hit, over the most hits [2]_."""
    hits = hits[:, :places]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precision * hits).sum(axis=1) / np.minimum(n_held, places)


def of_users(hits: np.ndarray, n_held: np.ndarray) -> dict[str, np.ndarray]:
    """Return each of `METRICS` per user, shape ``(users,)``."""
    return {
        "recall@20": recall_at(hits, n_held, 20),
        "recall@50": recall_at(hits, n_held, 50),
        "ndcg@100": ndcg_at(hits, n_held, 100),
        "map@500": average_precision_at(hits, n_held, PLACES),
    }


def coverage(lists: np.ndarray, n_tracks: int) -> float:
    """Return the share of tracks in the first `COVERED_PLACES` of any list.

    `lists` has numbers of tracks, or `NONE`.
    """
    listed = np.unique(lists[:, :COVERED_PLACES])
    return float((listed >= 0).sum() / n_tracks)


def auc(scores: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve per user; ties count half.

    `positives`, ``(users, tracks)`` as `scores`, marks the positive tracks; users without both kinds have NaN.
    """
    n_tracks = scores.shape[1]
    areas = np.full(len(scores), np.nan)
    for user, (row, positive) in enumerate(zip(scores, positives, strict=True)):
        n_positive = int(positive.sum())
        if 0 < n_positive < n_tracks:
            above = rankdata(row)[positive].sum() - n_positive * (n_positive + 1) / 2  # the Mann-Whitney U
            areas[user] = above / (n_positive * (n_tracks - n_positive))
    return areas


def with_intervals(by_user: Mapping[str, np.ndarray], seed: int) -> dict[str, list[float]]:
    """Return mean, lower and upper bound of each metric, by resampling users."""
    bootstrap = Bootstrap(seed=seed)
    values = np.column_stack(list(by_user.values()))
    columns = zip(by_user, values.mean(axis=0), bootstrap.means(values).T, strict=True)
    return {
        name: [float(mean), *(percentile_interval(resampled, bootstrap.level) or ())]
        for name, mean, resampled in columns
    }


def ratio_with_interval(first: np.ndarray, second: np.ndarray, seed: int) -> list[float | None]:
    """Return the ratio of two means over the same users with its interval; None for ``x / 0``."""
    bootstrap = Bootstrap(seed=seed)
    means = bootstrap.means(np.column_stack([first, second]))
    if not second.any() or not means[:, 1].all():
        return [None, None, None]
    interval = percentile_interval(means[:, 0] / means[:, 1], bootstrap.level)
    return [float(first.mean() / second.mean()), *(interval or (None, None))]


def shown(metric: list[float]) -> str:
    """Return mean and interval as text."""
    return f"{metric[0]:.4f} ({metric[1]:.4f}–{metric[2]:.4f})"
