"""The honest simple baseline: a linear model of a song's 153 numbers.

Multinomial logistic regression for classes, one logistic regression a tag for tags, ridge regression for
factors, over features at mean 0 and deviation 1 on the train split. How strongly it is regularised is
chosen on the validation split, never on the test split.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from training.data.targets import Target
from training.evaluation.classification import losses
from training.evaluation.multilabel import tag_losses
from training.evaluation.song_features import Features

STRENGTHS = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""Penalties on the squared weights that are tried, a training example: the objective is the mean loss plus
strength / 2 times the sum of squares."""

DEFAULT_STRENGTH = 0.01
"""The penalty where there is no validation split to choose it on."""

TRAINING_EXAMPLES = 50_000
"""More than these change a model of 153 numbers little; the rest of the train split is left out."""

ITERATIONS = 300

Predict = Callable[[np.ndarray], np.ndarray]
"""From features of shape ``(n, n_features)`` to scores of shape ``(n, size)``."""


@dataclass(frozen=True)
class Linear:
    """A fitted baseline.

    Attributes
    ----------
    predict : callable
    notes : dict
        ``strength`` chosen, validation loss at each one tried, training examples.
    """

    predict: Predict
    notes: dict[str, Any] = field(default_factory=dict)


def fit_linear(target: Target, train: Features, validation: Features) -> Linear:
    """Fit at several strengths and keep the one with the lowest validation loss.

    The strengths are tried from the strongest on; the search ends when two in a row did worse.

    Parameters
    ----------
    target : Target
    train, validation : Features
        The train split has at least one example.
    """
    scaler = StandardScaler().fit(train.values)
    values = scaler.transform(train.values).astype(np.float64)
    fitter = _fitter(target)
    judged = len(validation.track_ids) > 0
    tried: dict[str, float] = {}
    best: tuple[float, float, Predict] | None = None
    worse = 0
    for strength in STRENGTHS if judged else (DEFAULT_STRENGTH,):
        predict = fitter(values, train.true, strength)
        loss = float(_loss(target, validation.true, predict(scaler.transform(validation.values)))) if judged else 0.0
        tried[str(strength)] = loss
        if best is None or loss < best[0]:
            best, worse = (loss, strength, predict), 0
        else:
            worse += 1
        if worse == 2:
            break
    assert best is not None  # STRENGTHS is not empty
    _, strength, chosen = best
    notes: dict[str, Any] = {"strength": strength, "training_examples": len(values)}
    if judged:
        notes["validation_loss_by_strength"] = tried
    return Linear(lambda features: chosen(scaler.transform(features)), notes)


def _loss(target: Target, true: np.ndarray, scores: np.ndarray) -> float:
    if not target.is_vector:
        return losses(true, scores).mean()
    if target.name == "tags":
        return tag_losses(true, scores).mean()
    return np.square(true - scores).mean()


def _fitter(target: Target) -> Callable[[np.ndarray, np.ndarray, float], Predict]:
    if not target.is_vector:
        return lambda values, true, strength: _multinomial(values, true, strength, target.size)
    return _a_tag_each if target.name == "tags" else _ridge


def _multinomial(values: np.ndarray, true: np.ndarray, strength: float, size: int) -> Predict:
    """Fit classes; those without a training example get no probability."""
    there = np.unique(true)
    if len(there) < 2:
        return lambda features: np.tile(np.eye(size)[there[0]], (len(features), 1))
    fitted = _logistic(values, true, strength)

    def predict(features: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(features), size))
        scores[:, there] = fitted.predict_proba(features)
        return scores

    return predict


def _a_tag_each(values: np.ndarray, true: np.ndarray, strength: float) -> Predict:
    """Fit each tag by itself; one that all or none of the training examples have is always or never given."""
    fitted = [
        _logistic(values, mine, strength) if np.ptp(mine) else float(mine[0]) for mine in (true > 0).T.astype(int)
    ]

    def predict(features: np.ndarray) -> np.ndarray:
        columns = [
            np.full(len(features), item) if isinstance(item, float) else item.predict_proba(features)[:, 1]
            for item in fitted
        ]
        return np.stack(columns, axis=1)

    return predict


def _ridge(values: np.ndarray, true: np.ndarray, strength: float) -> Predict:
    fitted = Ridge(alpha=strength * len(values)).fit(values, true)
    return lambda features: fitted.predict(features).reshape(len(features), -1)


def _logistic(values: np.ndarray, true: np.ndarray, strength: float) -> Any:
    with warnings.catch_warnings():
        # At weak penalties the last digits of the weights take long and change no figure.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=1 / (strength * len(values)), max_iter=ITERATIONS).fit(values, true)
