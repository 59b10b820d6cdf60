"""Metrics of confusion matrices, for many matrices at once."""

from __future__ import annotations

import numpy as np

from training.evaluation.bootstrap import Artists, Statistic


def confusion_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, balanced accuracy, macro F1 and weighted F1 of confusion matrices.

    Balanced accuracy and macro F1 are means over the classes that have an example. `confusion` has shape
    ``(…, n_classes, n_classes)``, one row per true class, of counts or weights; a matrix of zeros has NaN.
    """
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    present = support > 0
    total, n_present = support.sum(axis=-1), present.sum(axis=-1)
    recall = np.divide(correct, support, out=np.zeros(support.shape), where=present)
    # 2 P R / (P + R), rearranged so that a class that is never predicted is no special case.
    f1 = np.divide(2 * correct, support + predicted, out=np.zeros(support.shape), where=present)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": correct.sum(axis=-1) / total,
            "balanced_accuracy": recall.sum(axis=-1) / n_present,
            "macro_f1": f1.sum(axis=-1) / n_present,
            "weighted_f1": (f1 * support).sum(axis=-1) / total,
        }


def confusion_statistic(true: np.ndarray, predicted: np.ndarray, n_classes: int, artists: Artists) -> Statistic:
    """Return the statistic of `confusion_metrics` for true and predicted classes of shape ``(n,)``."""
    cells = artists.matrix(true.astype(np.int64) * n_classes + predicted, n_classes**2)
    return lambda drawn: confusion_metrics((cells @ drawn).T.reshape(-1, n_classes, n_classes))


def expected_confusion_statistic(true: np.ndarray, shares: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of the expected confusion matrix of random guesses with these shares."""
    support = artists.matrix(true, len(shares))
    return lambda drawn: confusion_metrics((support @ drawn).T[:, :, None] * shares)
