"""Figures of ranked lists: recall, NDCG, truncated average precision, coverage, AUC, and their bootstrap intervals.

All take whether each place of a list holds a song that was held out, ``hits`` of shape ``(users, places)``, best place
first, and how many songs of each user were held out. They are a number a user; a figure is their mean.

References
----------
.. [1] D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018,
   section 4.2: Recall@R and NDCG@R as they are here.
.. [2] B. McFee, T. Bertin-Mahieux, D. Ellis, G. Lanckriet, "The Million Song Dataset Challenge", AdMIRe 2012,
   section 3: the truncated mean average precision, at 500.
.. [3] B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13: the percentile method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95
PLACES = 500
"""Places of a list that figures look at: as many as the MSD Challenge's average precision."""

FIGURES = ("recall@20", "recall@50", "ndcg@100", "map@500")
"""Figures of `of_users`."""

COVERED_PLACES = 100
"""Places of a list that count for coverage."""


def recall_at(hits: np.ndarray, n_held: np.ndarray, places: int) -> np.ndarray:
    """Return Recall@R of each user: held-out songs in the first `places`, over as many as could be there [1]_.

    Parameters
    ----------
    hits : numpy.ndarray
        Shape ``(users, k)``, bool.
    n_held : numpy.ndarray
        Shape ``(users,)``: songs held out of each user, at least 1.
    places : int
    """
    return hits[:, :places].sum(axis=1) / np.minimum(n_held, places)


def ndcg_at(hits: np.ndarray, n_held: np.ndarray, places: int) -> np.ndarray:
    """Return NDCG@R of each user with gains of 0 and 1: ``sum 1/log2(place + 1)`` over hits, over its best [1]_."""
    discounts = 1 / np.log2(np.arange(2, places + 2))
    gained = hits[:, :places] @ discounts[: hits.shape[1]]
    return np.asarray(gained / np.cumsum(discounts)[np.minimum(n_held, places) - 1])


def average_precision_at(hits: np.ndarray, n_held: np.ndarray, places: int) -> np.ndarray:
    """Return the truncated average precision of each user: precision at each hit's place, over the most hits [2]_."""
    hits = hits[:, :places]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precision * hits).sum(axis=1) / np.minimum(n_held, places)


def of_users(hits: np.ndarray, n_held: np.ndarray) -> dict[str, np.ndarray]:
    """Return each of `FIGURES` for every user, shape ``(users,)``."""
    return {
        "recall@20": recall_at(hits, n_held, 20),
        "recall@50": recall_at(hits, n_held, 50),
        "ndcg@100": ndcg_at(hits, n_held, 100),
        "map@500": average_precision_at(hits, n_held, PLACES),
    }


def coverage(lists: np.ndarray, n_tracks: int, places: int = COVERED_PLACES) -> float:
    """Return the share of the tracks that stand in the first `places` of anybody's list.

    Parameters
    ----------
    lists : numpy.ndarray
        Shape ``(users, k)``: tracks by number; below 0 for an empty place.
    n_tracks : int
    """
    shown = np.unique(lists[:, :places])
    return float((shown >= 0).sum() / n_tracks)


def auc(scores: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return the area under each user's ROC curve: the chance that a held-out song beats another; ties count half.

    Parameters
    ----------
    scores : numpy.ndarray
        Shape ``(users, tracks)``.
    held : numpy.ndarray
        Shape ``(users, tracks)``, bool.

    Returns
    -------
    numpy.ndarray
        Shape ``(users,)``; NaN for a user of whom all tracks or none are held out.
    """
    n_tracks = scores.shape[1]
    result = np.full(len(scores), np.nan)
    for user, (row, positive) in enumerate(zip(scores, held, strict=True)):
        n_positive = int(positive.sum())
        if 0 < n_positive < n_tracks:
            order = np.sort(row)
            # The rank from 1 of a score is the mean of the places that its ties take up (Mann and Whitney).
            ranks = (np.searchsorted(order, row[positive]) + np.searchsorted(order, row[positive], "right") + 1) / 2
            above = ranks.sum() - n_positive * (n_positive + 1) / 2
            result[user] = above / (n_positive * (n_tracks - n_positive))
    return result


@dataclass(frozen=True)
class Figure:
    """A mean over users and its 95 % interval.

    Attributes
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float

    def as_list(self) -> list[float]:
        """Return value, low and high."""
        return [self.value, self.low, self.high]


def resampled_means(values: np.ndarray, seed: int) -> np.ndarray:
    """Return the means of `RESAMPLES` resamples of users: shape ``(RESAMPLES, n)`` for values ``(users, n)``.

    Columns are resampled together, so that their differences and ratios are those of the same users.
    """
    generator = np.random.default_rng(seed)
    n_users = len(values)
    means = np.empty((RESAMPLES, values.shape[1]))
    for number in range(RESAMPLES):
        drawn = np.bincount(generator.integers(0, n_users, n_users), minlength=n_users)
        means[number] = drawn @ values / n_users
    return means


def with_intervals(by_user: Mapping[str, np.ndarray], seed: int) -> dict[str, Figure]:
    """Return the mean over users of each figure, with an interval by resampling users [3]_."""
    values = np.column_stack(list(by_user.values()))
    low, high = interval(resampled_means(values, seed))
    means = values.mean(axis=0)
    return {name: Figure(float(means[at]), float(low[at]), float(high[at])) for at, name in enumerate(by_user)}


def interval(resampled: np.ndarray) -> np.ndarray:
    """Return the lower and upper bound of resampled figures, shape ``(2, …)``, by the percentile method."""
    return np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
