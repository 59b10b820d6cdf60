"""Average precision and ROC-AUC of scores, for many weightings of the examples at once.

The bootstrap needs them 1,000 times on the same scores with other weights. Sorting is done once; what is
left of a weighting are sums over the examples between two positives, a sparse product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from training.evaluation.bootstrap import Artists, Statistic


@dataclass(frozen=True)
class RankedScores:
    """One class's examples, sorted by score and summed up by artist.

    The examples are cut where a threshold lets positives pass: row `k` stands for the k-th distinct score,
    from the highest, that a positive has.

    Attributes
    ----------
    passed : scipy.sparse.csr_matrix
        Shape ``(k, n_artists)``: examples whose score is at least this threshold and below the one before.
    positives : scipy.sparse.csr_matrix
        Shape ``(k, n_artists)``: the positives among them; all have the threshold's score.
    tied_negatives : scipy.sparse.csr_matrix
        Shape ``(k, n_artists)``: negatives with the very score of the threshold.
    negatives : numpy.ndarray
        Shape ``(n_artists,)``: all negatives.
    """

    passed: sparse.csr_matrix
    positives: sparse.csr_matrix
    tied_negatives: sparse.csr_matrix
    negatives: np.ndarray

    @classmethod
    def of(cls, positive: np.ndarray, scores: np.ndarray, artists: Artists) -> RankedScores:
        """Sort the examples of one class.

        Parameters
        ----------
        positive : numpy.ndarray
            Shape ``(n,)``, bool.
        scores : numpy.ndarray
            Shape ``(n,)``; higher means rather positive.
        artists : Artists
        """
        thresholds = np.unique(scores[positive])
        k = len(thresholds)
        # Row of each example: the highest threshold that it passes; k where it passes none.
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

        The sum over thresholds of precision times the step in recall, without interpolation, as scikit-learn's
        `average_precision_score` has it.

        Parameters
        ----------
        drawn : numpy.ndarray
            Shape ``(n_artists, m)``: weights of the artists' examples.
        """
        positives = self.positives @ drawn
        passed = np.cumsum(self.passed @ drawn, axis=0)
        found = np.cumsum(positives, axis=0)
        precision = np.divide(found, passed, out=np.zeros_like(found), where=passed > 0)
        return _ratio((positives * precision).sum(axis=0), positives.sum(axis=0))

    def roc_auc(self, drawn: np.ndarray) -> np.ndarray:
        """Return the area under the ROC curve of each weighting, NaN where positives or negatives have no weight.

        The share of pairs of a positive and a negative in which the positive has the higher score, ties
        counted half.
        """
        positives = self.positives @ drawn
        false = np.cumsum(self.passed @ drawn - positives, axis=0)
        wrong = (positives * (false - 0.5 * (self.tied_negatives @ drawn))).sum(axis=0)
        return 1 - _ratio(wrong, positives.sum(axis=0) * (self.negatives @ drawn))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def macro(by_class: list[np.ndarray], m: int) -> np.ndarray:
    """Return the mean over the classes on which a figure is defined, NaN where there is none: shape ``(m,)``."""
    values = np.array(by_class).reshape(-1, m)
    defined = np.isfinite(values)
    return _ratio(np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


def macro_average_precision_statistic(
    positive: np.ndarray, scores: np.ndarray, artists: Artists, name: str
) -> Statistic:
    """Return the statistic of the average precision's mean over classes, under the name `name`.

    Parameters
    ----------
    positive, scores : numpy.ndarray
        Shape ``(n, n_classes)``.
    artists : Artists
    name : str
    """
    ranked = [RankedScores.of(positive[:, place], scores[:, place], artists) for place in range(scores.shape[1])]

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        return {name: macro([item.average_precision(drawn) for item in ranked], drawn.shape[1])}

    return figures


def macro_ranking_statistic(positive: np.ndarray, scores: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of ``macro_roc_auc`` and ``macro_pr_auc``, over classes with a positive and a negative."""
    ranked = [RankedScores.of(positive[:, place], scores[:, place], artists) for place in range(scores.shape[1])]

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        areas = [item.roc_auc(drawn) for item in ranked]
        precisions = [
            np.where(np.isfinite(area), item.average_precision(drawn), np.nan)
            for item, area in zip(ranked, areas, strict=True)
        ]
        return {"macro_roc_auc": macro(areas, drawn.shape[1]), "macro_pr_auc": macro(precisions, drawn.shape[1])}

    return figures
