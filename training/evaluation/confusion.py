"""Metrics of confusion matrices, for many matrices at once.

Macro metrics of a resample are over the classes of the whole split. A class that no drawn artist has counts with its
value in the whole split: leaving it out changes what is averaged, and counting 0 shifts every resample down. The bias
and coverage of both alternatives, measured on simulated songs, are in ``docs/metrics.md``.
"""

from __future__ import annotations

import numpy as np

from training.evaluation.bootstrap import Artists, Statistic


def confusion_metrics(confusion: np.ndarray, whole: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return accuracy, balanced accuracy, macro F1 and weighted F1 of confusion matrices.

    Balanced accuracy and macro F1 are means over the classes that have an example. `confusion` has shape
    ``(…, n_classes, n_classes)``, one row per true class, of counts or weights; a matrix of zeros has NaN. With
    `whole`, the matrix ``(n_classes, n_classes)`` of the split that was resampled, the means are over its classes.
    """
    support = confusion.sum(axis=-1)
    recall, f1, present = _by_class(confusion)
    total = support.sum(axis=-1)
    counted = present
    if whole is not None:
        recall_of_whole, f1_of_whole, counted = _by_class(whole)
        recall, mean_f1 = np.where(present, recall, recall_of_whole), np.where(present, f1, f1_of_whole)
    else:
        mean_f1 = f1
    n_counted = counted.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": np.diagonal(confusion, axis1=-2, axis2=-1).sum(axis=-1) / total,
            "balanced_accuracy": recall.sum(axis=-1) / n_counted,
            "macro_f1": mean_f1.sum(axis=-1) / n_counted,
            "weighted_f1": (f1 * support).sum(axis=-1) / total,
        }


def _by_class(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return recall, F1 (0 for a class without examples), and whether each class has an example."""
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    present = support > 0
    recall = np.divide(correct, support, out=np.zeros(support.shape), where=present)
    # 2 P R / (P + R), rearranged so that a class that is never predicted is no special case.
    return recall, np.divide(2 * correct, support + predicted, out=np.zeros(support.shape), where=present), present


def confusion_statistic(true: np.ndarray, predicted: np.ndarray, n_classes: int, artists: Artists) -> Statistic:
    """Return the statistic of `confusion_metrics`; both arrays of classes have shape ``(n,)``."""
    cells = artists.matrix(true.astype(np.int64) * n_classes + predicted, n_classes**2)
    whole = (cells @ np.ones(artists.count)).reshape(n_classes, n_classes)
    return lambda drawn: confusion_metrics((cells @ drawn).T.reshape(-1, n_classes, n_classes), whole)


def expected_confusion_statistic(true: np.ndarray, shares: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of the expected confusion matrix of random guesses with these shares."""
    support = artists.matrix(true, len(shares))
    whole = (support @ np.ones(artists.count))[:, None] * shares
    return lambda drawn: confusion_metrics((support @ drawn).T[:, :, None] * shares, whole)
