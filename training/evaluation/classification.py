"""Figures of a classifier from its probabilities.

What "macro" means here: the plain mean over the classes that have an example in the split that is judged.
A class without one has no recall, F1, average precision or ROC-AUC; they are null in its row and it is left
out of every macro figure, whether it was predicted or not (that costs the precision of nobody, but the
recall of the classes that it was taken for). ROC-AUC needs another class beside. "Micro" takes every pair
of an example and a class as one decision; micro F1 equals accuracy. "Weighted" is by the classes' examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from training.evaluation.bootstrap import Artists, mean_statistic, together
from training.evaluation.calibration import calibration_metrics
from training.evaluation.candidate import Candidate
from training.evaluation.confusion import confusion_statistic
from training.evaluation.ranking import macro_average_precision_statistic

SMALLEST_PROBABILITY = 1e-12
"""A model that rules out what is true pays for it, but not infinitely."""


def classifier(
    true: np.ndarray, scores: np.ndarray, classes: Sequence[str], artists: Artists, *, ordinal: bool = False
) -> Candidate:
    """Return a classifier to be judged with intervals.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    scores : numpy.ndarray
        Shape ``(n, n_classes)``: probabilities.
    classes : sequence of str
        Names by index.
    artists : Artists
    ordinal : bool
        Whether the classes have an order, as deciles do.
    """
    probabilities = as_probabilities(scores)
    predicted = probabilities.argmax(axis=1)
    means = {"log_loss": losses(true, probabilities)}
    if ordinal:
        means["off_by_one_accuracy"] = np.abs(predicted - true) <= 1
    positive = true[:, None] == np.arange(len(classes))
    statistic = together(
        confusion_statistic(true, predicted, len(classes), artists),
        macro_average_precision_statistic(positive, probabilities, artists, "macro_average_precision"),
        mean_statistic(means, artists),
    )
    return Candidate(classification_metrics(true, scores, classes, ordinal=ordinal), statistic)


def as_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return float32 scores as float64 rows that add up to 1 to the last digit."""
    wide = scores.astype(np.float64)
    return wide / wide.sum(axis=1, keepdims=True)


def losses(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return each example's negative log probability of its class: shape ``(n,)``, in nats."""
    return -np.log(np.maximum(probabilities[np.arange(len(true)), true], SMALLEST_PROBABILITY))


def classification_metrics(
    true: np.ndarray, scores: np.ndarray, classes: Sequence[str], *, ordinal: bool = False
) -> dict[str, Any]:
    """Return the figures of a classifier on at least one example.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    scores : numpy.ndarray
        Shape ``(n, n_classes)``: probabilities.
    classes : sequence of str
        Names by index.
    ordinal : bool
        Adds `ordinal_metrics`.

    Returns
    -------
    dict
        ``examples``, the figures over all classes, ``reliability``, ``by_class`` (a row a class) and
        ``confusion_matrix`` (rows are true classes).
    """
    indices = np.arange(len(classes))
    probabilities = as_probabilities(scores)
    predicted = probabilities.argmax(axis=1)
    positive = true[:, None] == indices
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted, labels=indices, zero_division=0)
    guessed = np.bincount(predicted, minlength=len(classes))
    present = support > 0
    by_class = {}
    for index, name in enumerate(classes):
        some = bool(present[index])
        by_class[name] = {
            "support": int(support[index]),
            "precision": float(precision[index]) if guessed[index] else None,
            "recall": float(recall[index]) if some else None,
            "f1": float(f1[index]) if some else None,
            "average_precision": _average_precision(positive[:, index], probabilities[:, index]),
            "roc_auc": _roc_auc(positive[:, index], probabilities[:, index]),
        }
    return {
        "examples": len(true),
        "classes_without_examples": int((~present).sum()),
        "accuracy": float(accuracy_score(true, predicted)),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "micro_f1": float(f1_score(true, predicted, labels=indices, average="micro", zero_division=0)),
        "weighted_f1": float(np.average(f1, weights=support)),
        "macro_average_precision": mean_of_defined([row["average_precision"] for row in by_class.values()]),
        "micro_average_precision": float(average_precision_score(positive.ravel(), probabilities.ravel())),
        "macro_roc_auc": mean_of_defined([row["roc_auc"] for row in by_class.values()]),
        "log_loss": float(losses(true, probabilities).mean()),
        **(ordinal_metrics(true, probabilities) if ordinal else {}),
        **calibration_metrics(true, probabilities),
        "by_class": by_class,
        "confusion_matrix": confusion_matrix(true, predicted, labels=indices).tolist(),
    }


def ordinal_metrics(true: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return what the order of classes allows to say.

    Parameters
    ----------
    true : numpy.ndarray
        Shape ``(n,)``: classes.
    probabilities : numpy.ndarray
        Shape ``(n, n_classes)``.

    Returns
    -------
    dict
        ``off_by_one_accuracy``: share of examples whose predicted class is the true one or its neighbour.
        ``spearman``: rank correlation of the true class with the expected one, ``sum_k k p_k``; None where
        one of the two never changes.
    """
    predicted = probabilities.argmax(axis=1)
    # Rounded, so that the last digit of a sum does not make ranks of what is equal.
    expected = np.round(probabilities @ np.arange(probabilities.shape[1]), 9)
    changes = len(true) > 1 and np.ptp(true) > 0 and np.ptp(expected) > 0
    return {
        "off_by_one_accuracy": float((np.abs(predicted - true) <= 1).mean()),
        "spearman": float(spearmanr(true, expected).statistic) if changes else None,
    }


def _average_precision(positive: np.ndarray, scores: np.ndarray) -> float | None:
    return float(average_precision_score(positive, scores)) if positive.any() else None


def _roc_auc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    return float(roc_auc_score(positive, scores)) if positive.any() and not positive.all() else None


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None where there is none."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
