"""Metrics of a regression onto vectors, such as a track's factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import mean_squared_error, r2_score

from training.evaluation.bootstrap import Artists, Statistic, mean_statistic, together
from training.evaluation.classification import mean_of_defined


def regression_statistic(true: np.ndarray, scores: np.ndarray, artists: Artists) -> Statistic:
    """Return the statistic of a regression's main metrics; see `regression_metrics`."""
    true, predicted = true.astype(np.float64), scores.astype(np.float64)
    means = {"mean_squared_error": np.square(true - predicted).mean(axis=1), "cosine": cosines(true, predicted)}
    return together(mean_statistic(means, artists), _r2_statistic(true, predicted, artists))


def cosines(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the cosine similarity of each true and predicted vector; 0 if one is a zero vector."""
    length = np.linalg.norm(true, axis=1) * np.linalg.norm(predicted, axis=1)
    return np.divide((true * predicted).sum(axis=1), length, out=np.zeros(len(true)), where=length > 0)


def regression_metrics(true: np.ndarray, scores: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of a regression on at least one example; arrays are ``(n, size)``.

    Returns
    -------
    dict
        ``examples``; ``cosine``, mean over examples; ``mean_squared_error``, mean over examples and dimensions;
        ``r2``, mean over the dimensions whose truth varies, None if none does; ``by_class``, one row per dimension.
    """
    true, predicted = true.astype(np.float64), scores.astype(np.float64)
    errors = mean_squared_error(true, predicted, multioutput="raw_values")
    by_class = {
        name: {
            "mean_squared_error": float(errors[place]),
            "r2": float(r2_score(true[:, place], predicted[:, place])) if np.ptp(true[:, place]) > 0 else None,
        }
        for place, name in enumerate(names)
    }
    return {
        "examples": len(true),
        "cosine": float(cosines(true, predicted).mean()),
        "mean_squared_error": float(errors.mean()),
        "r2": mean_of_defined([row["r2"] for row in by_class.values()]),
        "by_class": by_class,
    }


def _r2_statistic(true: np.ndarray, predicted: np.ndarray, artists: Artists) -> Statistic:
    size = true.shape[1]
    # Centred, so that the difference of squares below loses no precision.
    centred = true - true.mean(axis=0)
    varies = np.ptp(true, axis=0) > 0
    columns = [np.ones((len(true), 1)), centred, np.square(centred), np.square(true - predicted)]
    sums = artists.sums(np.hstack(columns)).T

    def r2(drawn: np.ndarray) -> dict[str, np.ndarray]:
        examples, first, second, errors = np.split(sums @ drawn, [1, 1 + size, 1 + 2 * size])
        variation = second - np.square(first) / examples
        defined = varies[:, None] & (variation > 1e-12 * np.maximum(second, 1e-300))
        ratio = np.divide(errors, variation, out=np.zeros_like(errors), where=defined)
        n_defined = defined.sum(axis=0)
        mean = np.divide(ratio.sum(axis=0), n_defined, out=np.full(drawn.shape[1], np.nan), where=n_defined > 0)
        return {"r2": 1 - mean}

    return r2
