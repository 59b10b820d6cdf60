"""Average precision and ROC-AUC for many weightings of the same examples.

The bootstrap computes them 1,000 times on the same scores. The examples are sorted once; for each weighting, a
sparse product then sums the weights between consecutive thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from training.evaluation.bootstrap import Artists, Statistic


@dataclass(frozen=True)
class RankedScores:
    """Examples ranked by the score of one class, counted per threshold and artist.

    The thresholds, one per row, are the distinct scores of the positives, highest first.

    Attributes
    ----------
    passed : scipy.sparse.csr_matrix
        Shape ``(k, n_artists)``: examples that score at least this threshold and less than the one before.
    positives : scipy.sparse.csr_matrix
        Shape ``(k, n_artists)``: the positives among them; all score exactly the threshold.
    tied_negatives : scipy.sparse.csr_matrix
        Shape ``(k, n_artists)``: negatives that score exactly the threshold.
    negatives : numpy.ndarray
        Shape ``(n_artists,)``: all negatives.
    """

    passed: sparse.csr_matrix
    positives: sparse.csr_matrix
    tied_negatives: sparse.csr_matrix
    negatives: np.ndarray

    @classmethod
    def of(cls, positive: np.ndarray, scores: np.ndarray, artists: Artists) -> RankedScores:
        """Rank the examples of one class by their scores; both arrays have shape ``(n,)``."""
        thresholds = np.unique(scores[positive])
        k = len(thresholds)
        # Row of each example: the highest threshold that it passes, k if it passes none.
        row = k - np.searchsorted(thresholds, scores, side="right")
        inside = np.flatnonzero(row < k)
        true = np.flatnonzero(positive)
        tied = inside[~positive[inside] & (scores[inside] == thresholds[::-1][row[inside]])] if k else inside
        negatives = np.bincount(artists.index[~positive], minlength=artists.count)
        return cls(
            artists.matrix(row[inside], k, inside),
            artists.matrix(row[true], k, true),
            artists.matrix(row[tied], k, tied),
            negatives.astype(np.float64),
        )

    def average_precision(self, drawn: np.ndarray) -> np.ndarray:
        """Return the average precision of each weighting, NaN where no positive has weight.

        The sum over thresholds of precision times the step in recall, without interpolation, as in scikit-learn's
        `average_precision_score`. `drawn` has shape ``(n_artists, m)``: weights of the artists' examples.
        """
        positives = self.positives @ drawn
        passed = np.cumsum(self.passed @ drawn, axis=0)
        true = np.cumsum(positives, axis=0)
        precision = np.divide(true, passed, out=np.zeros_like(true), where=passed > 0)
        return _ratio((positives * precision).sum(axis=0), positives.sum(axis=0))

    def roc_auc(self, drawn: np.ndarray) -> np.ndarray:
        """Return the ROC-AUC of each weighting, NaN where positives or negatives have no weight.

        The share of (positive, negative) pairs in which the positive has the higher score; ties count half.
        """
        positives = self.positives @ drawn
        false = np.cumsum(self.passed @ drawn - positives, axis=0)
        wrong = (positives * (false - 0.5 * (self.tied_negatives @ drawn))).sum(axis=0)
        return 1 - _ratio(wrong, positives.sum(axis=0) * (self.negatives @ drawn))


def _ratio(part: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.divide(part, total, out=np.full(len(total), np.nan), where=total > 0)


def _macro(by_class: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the mean over the classes with a defined metric in the whole split.

    The shape is ``(m,)``; NaN if there are none. `by_class` has shape ``(k, m)`` and `whole` ``(k, 1)``. A class whose
    metric is undefined on a resample counts with its value in the whole split, as in `training.evaluation.confusion`.
    """
    defined = np.isfinite(whole[:, 0])
    values = np.where(np.isfinite(by_class), by_class, whole)[defined]
    return values.mean(axis=0) if len(values) else np.full(by_class.shape[1], np.nan)


def _ranked(positive: np.ndarray, scores: np.ndarray, artists: Artists) -> list[RankedScores]:
    return [RankedScores.of(*columns, artists) for columns in zip(positive.T, scores.T, strict=True)]


def _macro_statistic(artists: Artists, by_class: Callable[[np.ndarray], dict[str, np.ndarray]]) -> Statistic:
    """Return the statistic of macro means of metrics by class.

    Arrays are ``(k, m)`` for ``(n_artists, m)`` weights.
    """
    whole = by_class(np.ones((artists.count, 1)))
    return lambda drawn: {name: _macro(values, whole[name]) for name, values in by_class(drawn).items()}


def macro_average_precision_statistic(positive: np.ndarray, scores: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of ``macro_average_precision``.

    Both arrays have shape ``(n, n_classes)``.
    """
    ranked = _ranked(positive, scores, artists)
    return _macro_statistic(
        artists, lambda drawn: {"macro_average_precision": np.array([one.average_precision(drawn) for one in ranked])}
    )


def macro_ranking_statistic(positive: np.ndarray, scores: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of ``macro_roc_auc`` and ``macro_pr_auc``.

    The means are over the classes with a positive and a negative.
    """
    ranked = _ranked(positive, scores, artists)

    def areas(drawn: np.ndarray) -> dict[str, np.ndarray]:
        roc = np.array([one.roc_auc(drawn) for one in ranked])
        precision = np.array([one.average_precision(drawn) for one in ranked])
        return {"macro_roc_auc": roc, "macro_pr_auc": np.where(np.isfinite(roc), precision, np.nan)}

    return _macro_statistic(artists, areas)
