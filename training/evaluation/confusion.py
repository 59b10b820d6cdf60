"""Figures that follow from a confusion matrix, for many matrices at once."""

from __future__ import annotations

import numpy as np

from training.evaluation.bootstrap import Artists, Statistic


def confusion_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, balanced accuracy, macro and weighted F1 of confusion matrices.

    Balanced accuracy and macro F1 are means over the classes that have an example.

    Parameters
    ----------
    confusion : numpy.ndarray
        Shape ``(…, n_classes, n_classes)``: rows are true classes; counts or weights.

    Returns
    -------
    dict
        Arrays of shape ``(…)``; NaN for a matrix of zeros.
    """
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    present = support > 0
    total, n_present = support.sum(axis=-1), present.sum(axis=-1)
    recall = np.divide(right, support, out=np.zeros(support.shape), where=present)
    # 2 P R / (P + R), written so that a class that is never predicted needs no exception.
    f1 = np.divide(2 * right, support + predicted, out=np.zeros(support.shape), where=present)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": right.sum(axis=-1) / total,
            "balanced_accuracy": recall.sum(axis=-1) / n_present,
            "macro_f1": f1.sum(axis=-1) / n_present,
            "weighted_f1": (f1 * support).sum(axis=-1) / total,
        }


def confusion_statistic(true: np.ndarray, predicted: np.ndarray, n_classes: int, artists: Artists) -> Statistic:
    """Return the statistic of `confusion_metrics`.

    Parameters
    ----------
    true, predicted : numpy.ndarray
        Shape ``(n,)``: classes.
    n_classes : int
    artists : Artists
    """
    cells = artists.matrix(true.astype(np.int64) * n_classes + predicted, n_classes**2)

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        return confusion_metrics((cells @ drawn).T.reshape(-1, n_classes, n_classes))

    return figures


def expected_confusion_statistic(true: np.ndarray, shares: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of guessing at random by shares: `confusion_metrics` of the expected matrix.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    shares : numpy.ndarray
        Shape ``(n_classes,)``: how often each class is guessed.
    artists : Artists
    """
    support = artists.matrix(true, len(shares))

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        return confusion_metrics((support @ drawn).T[:, :, None] * shares)

    return figures
