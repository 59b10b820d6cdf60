"""The linear baseline, on the 153 features of `song_features`.

Multinomial logistic regression for classes, one logistic regression per tag, ridge regression for factors. Features are
standardised on the train split; the regularisation strength is chosen on the validation split, never on the test split.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from training.data.targets.target import LABELS, Target
from training.evaluation.classification import losses
from training.evaluation.multilabel import tag_losses
from training.evaluation.song_features import Features

STRENGTHS = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""Regularisation strengths: the objective is the mean loss plus strength / 2 times the sum of squared weights."""

DEFAULT_STRENGTH = 0.01
"""The strength if there is no validation split."""

TRAINING_EXAMPLES = 50_000
"""Training examples to read; more hardly change a linear model of 153 features."""

ITERATIONS = 300

ONE_THREAD_BELOW = 2_000_000
"""Size of a feature matrix below which one BLAS thread is faster than several, up to 15 times."""

Predict = Callable[[np.ndarray], np.ndarray]
"""From features of shape ``(n, n_features)`` to scores of shape ``(n, size)``."""


@dataclass(frozen=True)
class Linear:
    """A fitted baseline.

    `notes` are the chosen ``strength``, the validation loss of each strength, and the number of training examples.
    """

    predict: Predict
    notes: dict[str, Any]


def fit_linear(target: Target, train: Features, validation: Features) -> Linear:
    """Fit at several strengths and keep the model with the lowest validation loss.

    Strengths are tried from the strongest; the search stops after two in a row without improvement. The train split
    must have an example.
    """
    scaler = StandardScaler().fit(train.values)
    values, has_validation = scaler.transform(train.values).astype(np.float64), len(validation.track_ids) > 0
    tried: dict[float, tuple[float, Predict]] = {}
    for strength in STRENGTHS if has_validation else (DEFAULT_STRENGTH,):
        predict = _fit(target, values, train.true, strength)
        scores = predict(scaler.transform(validation.values)) if has_validation else None
        tried[strength] = (0.0 if scores is None else float(_loss(target, validation.true, scores)), predict)
        best = min(tried, key=lambda one: tried[one][0])
        if best in list(tried)[:-2]:
            break
    notes: dict[str, Any] = {"strength": best, "training_examples": len(values)}
    if has_validation:
        notes["validation_loss_by_strength"] = {str(strength): loss for strength, (loss, _) in tried.items()}
    return Linear(lambda features: tried[best][1](scaler.transform(features)), notes)


def _loss(target: Target, true: np.ndarray, scores: np.ndarray) -> float:
    if not target.is_vector:
        return losses(true, scores).mean()
    return (tag_losses(true, scores) if target.form == LABELS else np.square(true - scores)).mean()


def _fit(target: Target, values: np.ndarray, true: np.ndarray, strength: float) -> Predict:
    if not target.is_vector:
        return _fit_classes(values, true, strength, target.size)
    return (_fit_tags if target.form == LABELS else _fit_factors)(values, true, strength)


def _fit_classes(values: np.ndarray, true: np.ndarray, strength: float, size: int) -> Predict:
    """Fit classes; those without a training example have probability 0."""
    classes = np.unique(true)
    if len(classes) < 2:
        return lambda features: np.tile(np.eye(size)[classes[0]], (len(features), 1))
    fitted = _logistic(values, true, strength)

    def predict(features: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(features), size))
        scores[:, classes] = fitted.predict_proba(features)
        return scores

    return predict


def _fit_tags(values: np.ndarray, true: np.ndarray, strength: float) -> Predict:
    """Fit each tag separately; a tag that all or no training examples have is constant."""
    fitted = [_logistic(values, own, strength) if np.ptp(own) else float(own[0]) for own in (true > 0).T.astype(int)]

    def predict(features: np.ndarray) -> np.ndarray:
        columns = [
            np.full(len(features), item) if isinstance(item, float) else item.predict_proba(features)[:, 1]
            for item in fitted
        ]
        return np.stack(columns, axis=1)

    return predict


def _fit_factors(values: np.ndarray, true: np.ndarray, strength: float) -> Predict:
    fitted = Ridge(alpha=strength * len(values)).fit(values, true)
    return lambda features: fitted.predict(features).reshape(len(features), -1)


def _logistic(values: np.ndarray, true: np.ndarray, strength: float) -> Any:
    with warnings.catch_warnings(), threadpool_limits(1 if values.size < ONE_THREAD_BELOW else None):
        # At weak regularisation the last digits of the weights converge slowly and change no metric.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=1 / (strength * len(values)), max_iter=ITERATIONS).fit(values, true)
