"""Metrics of a classifier from its probabilities.

"Macro" is the plain mean over the classes that have an example in the split. A class without one has no recall, F1,
average precision or ROC-AUC (null in its row) and is left out of macro metrics even if it was predicted; the prediction
only lowers the recall of the true class. Average precision and ROC-AUC also need an example of another class. "Micro"
counts each (example, class) pair as one decision; micro F1 equals accuracy. "Weighted" is by the number of examples
per class. If all examples have the same class, `TRIVIAL` metrics are undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

from training.evaluation.bootstrap import Artists, Statistic, mean_statistic, together
from training.evaluation.confusion import confusion_statistic
from training.evaluation.ranking import macro_average_precision_statistic

SMALLEST_PROBABILITY = 1e-12
"""Bound that keeps the log loss finite."""

TRIVIAL = (
    *("accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1"),
    *("macro_average_precision", "micro_average_precision", "off_by_one_accuracy"),
)
"""Metrics that are 1 for the constant prediction of the only class; undefined if all examples have the same class."""

MOST_CLASSES = 1_000
"""With more classes, there is no confusion matrix and no micro average precision, whose memory grows with the square of
the classes or with classes times examples, and only accuracy and log loss have intervals."""

CONFIDENCE_BINS = 15
"""Confidence bins, as in Guo et al., so that values are comparable."""


def as_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return float32 scores as float64 rows that sum to 1."""
    wide = scores.astype(np.float64)
    return wide / wide.sum(axis=1, keepdims=True)


def losses(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the negative log probability of each example's class: shape ``(n,)``, in nats."""
    return -np.log(np.maximum(probabilities[np.arange(len(true)), true], SMALLEST_PROBABILITY))


def classification_statistic(
    true: np.ndarray, scores: np.ndarray, artists: Artists, *, ordinal: bool = False
) -> Statistic:
    """Return the statistic of a classifier's main metrics; see `classification_metrics`."""
    probabilities = as_probabilities(scores)
    n_classes, predicted = scores.shape[1], probabilities.argmax(axis=1)
    means = {"log_loss": losses(true, probabilities)}
    if ordinal:
        means["off_by_one_accuracy"] = np.abs(predicted - true) <= 1
    if n_classes > MOST_CLASSES:
        statistic = mean_statistic(means | {"accuracy": predicted == true}, artists)
    else:
        positive = true[:, None] == np.arange(n_classes)
        statistic = together(
            confusion_statistic(true, predicted, n_classes, artists),
            macro_average_precision_statistic(positive, probabilities, artists),
            mean_statistic(means, artists),
        )
    return without_trivial_resamples(statistic, true, artists)


def classification_metrics(
    true: np.ndarray, scores: np.ndarray, classes: Sequence[str], *, ordinal: bool = False
) -> dict[str, Any]:
    """Return the metrics of a classifier on at least one example.

    `scores` are probabilities of shape ``(n, n_classes)``. Ordered classes such as deciles also get `ordinal_metrics`.

    Returns
    -------
    dict
        ``examples``, metrics over all classes, ``reliability``, ``by_class`` (one row per class) and
        ``confusion_matrix`` (one row per true class); see `MOST_CLASSES`.
    """
    indices = np.arange(len(classes))
    probabilities = as_probabilities(scores)
    predicted = probabilities.argmax(axis=1)
    positive = true[:, None] == indices
    precision, recall, f1, support = precision_recall_fscore_support(true, predicted, labels=indices, zero_division=0)
    n_predicted = np.bincount(predicted, minlength=len(classes))
    present = support > 0
    decidable = present & (support < len(true))
    average_precision = _of_classes(average_precision_score, positive, probabilities, decidable)
    roc_auc = _of_classes(roc_auc_score, positive, probabilities, decidable)
    by_class = {
        name: {
            "support": int(support[index]),
            "precision": float(precision[index]) if n_predicted[index] else None,
            "recall": float(recall[index]) if present[index] else None,
            "f1": float(f1[index]) if present[index] else None,
            "average_precision": average_precision[index],
            "roc_auc": roc_auc[index],
        }
        for index, name in enumerate(classes)
    }
    metrics = {
        "examples": len(true),
        "classes_without_examples": int((~present).sum()),
        "accuracy": float(accuracy_score(true, predicted)),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "micro_f1": float(f1_score(true, predicted, labels=indices, average="micro", zero_division=0)),
        "weighted_f1": float(np.average(f1, weights=support)),
        "macro_average_precision": mean_of_defined(average_precision),
        "micro_average_precision": None
        if len(classes) > MOST_CLASSES
        else float(average_precision_score(positive.ravel(), probabilities.ravel())),
        "macro_roc_auc": mean_of_defined(roc_auc),
        "log_loss": float(losses(true, probabilities).mean()),
        **(ordinal_metrics(true, probabilities) if ordinal else {}),
        **calibration_metrics(true, probabilities),
        "by_class": by_class,
    }
    if len(classes) <= MOST_CLASSES:
        metrics["confusion_matrix"] = confusion_matrix(true, predicted, labels=indices).tolist()
    return without_trivial(metrics, true)


def without_trivial(metrics: dict[str, Any], true: np.ndarray) -> dict[str, Any]:
    """Return metrics with None for those in `TRIVIAL` if all examples have the same class."""
    return metrics if np.ptp(true) else metrics | {name: None for name in TRIVIAL if name in metrics}


def without_trivial_resamples(statistic: Statistic, true: np.ndarray, artists: Artists) -> Statistic:
    """Return a statistic with NaN for the metrics in `TRIVIAL` on one-class resamples."""
    support = artists.matrix(true, int(true.max()) + 1)

    def defined(drawn: np.ndarray) -> dict[str, np.ndarray]:
        is_trivial = (support @ drawn > 0).sum(axis=0) == 1
        return {
            name: np.where(is_trivial, np.nan, values) if name in TRIVIAL else values
            for name, values in statistic(drawn).items()
        }

    return defined


def ordinal_metrics(true: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the metrics that depend on the order of the classes.

    ``off_by_one_accuracy`` is the share of examples predicted as their class or a neighbour of it; ``spearman`` is the
    rank correlation of the true class and the expected class ``sum_k k p_k``, None if one of them is constant.
    """
    predicted = probabilities.argmax(axis=1)
    # Rounded, so that rounding errors of the sum do not break ties.
    expected = np.round(probabilities @ np.arange(probabilities.shape[1]), 9)
    varies = len(true) > 1 and np.ptp(true) > 0 and np.ptp(expected) > 0
    return {
        "off_by_one_accuracy": float((np.abs(predicted - true) <= 1).mean()),
        "spearman": float(spearmanr(true, expected).statistic) if varies else None,
    }


def calibration_metrics(true: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return ``expected_calibration_error``, and ``reliability``: one row per non-empty bin.

    The confidence of a prediction is its highest probability; each row of `probabilities` sums to 1. Confidences are
    grouped into 15 bins of equal width, ``((b - 1) / 15, b / 15]``; the error is
    ``sum_b n_b / n |accuracy_b - confidence_b|``: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern
    Neural Networks", ICML 2017, equations 2 to 5.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == true
    bins = np.clip(np.ceil(confidence * CONFIDENCE_BINS).astype(int), 1, CONFIDENCE_BINS)
    rows = [
        {
            "above": (int(number) - 1) / CONFIDENCE_BINS,
            "up_to": int(number) / CONFIDENCE_BINS,
            "examples": int((bins == number).sum()),
            "accuracy": float(correct[bins == number].mean()),
            "confidence": float(confidence[bins == number].mean()),
        }
        for number in np.unique(bins)
    ]
    error = sum(row["examples"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(true)
    return {"expected_calibration_error": float(error), "reliability": rows}


def _of_classes(
    score: Callable[..., np.ndarray], positive: np.ndarray, probabilities: np.ndarray, defined: np.ndarray
) -> list[float | None]:
    """Return the one-vs-rest score of each class; None where it is undefined."""
    if not defined.any():
        return [None] * len(defined)
    values = iter(np.atleast_1d(score(positive[:, defined], probabilities[:, defined], average=None)).tolist())
    return [next(values) if is_defined else None for is_defined in defined]


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if all are."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
