"""Figures of a regression onto vectors, such as a track's factors from the listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import mean_squared_error, r2_score

from training.evaluation.bootstrap import Artists, Statistic, mean_statistic, together
from training.evaluation.candidate import Candidate
from training.evaluation.classification import mean_of_defined


def regressor(true: np.ndarray, scores: np.ndarray, names: Sequence[str], artists: Artists) -> Candidate:
    """Return a regression to be judged with intervals.

    Parameters
    ----------
    true, scores : numpy.ndarray
        Shape ``(n, size)``.
    names : sequence of str
        Of the dimensions.
    artists : Artists
    """
    wide, said = true.astype(np.float64), scores.astype(np.float64)
    means = {"mean_squared_error": np.square(wide - said).mean(axis=1), "cosine": cosines(wide, said)}
    statistic = together(mean_statistic(means, artists), _r2_statistic(wide, said, artists))
    return Candidate(regression_metrics(true, scores, names), statistic)


def cosines(true: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Return the cosine between each true vector and the predicted one, shape ``(n,)``; 0 where one of them is 0."""
    length = np.linalg.norm(true, axis=1) * np.linalg.norm(said, axis=1)
    return np.divide((true * said).sum(axis=1), length, out=np.zeros(len(true)), where=length > 0)


def regression_metrics(true: np.ndarray, scores: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Return the figures of a regression on at least one example.

    Parameters
    ----------
    true, scores : numpy.ndarray
        Shape ``(n, size)``.
    names : sequence of str
        Of the dimensions.

    Returns
    -------
    dict
        ``examples``; ``cosine``, the mean over examples; ``mean_squared_error``, the mean over examples and
        dimensions; ``r2``, the mean over the dimensions whose truth changes, None where there is none;
        ``by_class``, a row a dimension.
    """
    wide, said = true.astype(np.float64), scores.astype(np.float64)
    errors = mean_squared_error(wide, said, multioutput="raw_values")
    by_class = {
        name: {
            "mean_squared_error": float(errors[place]),
            "r2": float(r2_score(wide[:, place], said[:, place])) if np.ptp(wide[:, place]) > 0 else None,
        }
        for place, name in enumerate(names)
    }
    return {
        "examples": len(true),
        "cosine": float(cosines(wide, said).mean()),
        "mean_squared_error": float(errors.mean()),
        "r2": mean_of_defined([row["r2"] for row in by_class.values()]),
        "by_class": by_class,
    }


def _r2_statistic(true: np.ndarray, said: np.ndarray, artists: Artists) -> Statistic:
    size = true.shape[1]
    # About the mean, so that the difference of squares below is one of small numbers.
    centred = true - true.mean(axis=0)
    changes = np.ptp(true, axis=0) > 0
    sums = artists.sums(np.hstack([np.ones((len(true), 1)), centred, np.square(centred), np.square(true - said)])).T

    def figures(drawn: np.ndarray) -> dict[str, np.ndarray]:
        totals = sums @ drawn
        examples, first, second, errors = np.split(totals, [1, 1 + size, 1 + 2 * size])
        spread = second - np.square(first) / examples
        defined = changes[:, None] & (spread > 1e-12 * np.maximum(second, 1e-300))
        ratio = np.divide(errors, spread, out=np.zeros_like(errors), where=defined)
        n_defined = defined.sum(axis=0)
        r2 = 1 - np.divide(ratio.sum(axis=0), n_defined, out=np.full(drawn.shape[1], np.nan), where=n_defined > 0)
        return {"r2": r2}

    return figures
