"""Figures of a classifier from its probabilities, and the majority baseline beside them. Pure numpy in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

SMALLEST_PROBABILITY = 1e-12
"""A model that rules out what is true pays for it, but not infinitely."""


def genre_metrics(true: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of genre predictions.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: genre indices.
    probabilities : numpy.ndarray
        Shape ``(n, n_genres)``; each row adds up to 1.
    labels : sequence of str
        Genres by index.

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1``, ``weighted_f1``, ``macro_average_precision``, ``log_loss``,
        ``examples``, ``by_genre`` and ``confusion_matrix`` (rows are true genres). Macro figures
        are means over the genres that have an example.
    """
    indices = np.arange(len(labels))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted, labels=indices, zero_division=0)
    present = support > 0
    average_precision = [
        float(average_precision_score(true == index, probabilities[:, index])) if support[index] else None
        for index in indices
    ]
    wide = probabilities.astype(np.float64)
    given = np.maximum(wide[np.arange(len(true)), true] / wide.sum(axis=1), SMALLEST_PROBABILITY)
    return {
        "examples": len(true),
        "accuracy": float((predicted == true).mean()),
        "macro_f1": float(f1[present].mean()),
        "weighted_f1": float(np.average(f1, weights=support)),
        "macro_average_precision": float(np.mean([value for value in average_precision if value is not None])),
        "log_loss": float(-np.log(given).mean()),
        "by_genre": {
            label: {
                "precision": float(precision[index]),
                "recall": float(recall[index]),
                "f1": float(f1[index]),
                "average_precision": average_precision[index],
                "support": int(support[index]),
            }
            for index, label in enumerate(labels)
        },
        "confusion_matrix": confusion_matrix(true, predicted, labels=indices).tolist(),
    }


def majority_metrics(true: np.ndarray, train_counts: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of always giving the train split's genre shares, so its largest genre.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: genre indices of the split that is judged.
    train_counts : numpy.ndarray
        Shape ``(n_genres,)``: examples of each genre in the train split.
    labels : sequence of str
    """
    shares = train_counts / train_counts.sum()
    return genre_metrics(true, np.tile(shares, (len(true), 1)), labels)
