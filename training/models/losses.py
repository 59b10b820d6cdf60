"""The loss of each example, by the form of the target."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from training.data.predictions import Predictions
from training.data.targets.target import LABELS, NUMBERS, Target

SMALLEST_LENGTH = 1e-6
"""The cosine of vectors shorter than this is 0."""


@dataclass(frozen=True)
class Loss:
    """Cross-entropy for classes, mean binary cross-entropy for labels, or a loss for numbers.

    The loss of numbers is the squared error, divided by the mean squared length of the truths in the train split
    (`mean_square`), plus 1 minus the cosine. Recommendations use both length and angle; both parts are 1 for a model
    that always returns 0, so neither dominates. `label_weights` has the weight of each label for examples that
    have it; for others the weight is 1.
    """

    target: Target
    label_weights: np.ndarray | None = None
    mean_square: float = 1.0

    def of_examples(self, truth: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Return losses of shape ``(n,)`` from soft truths and scores of shape ``(n, size)``, all float32."""
        if self.target.form == NUMBERS:
            error = tf.reduce_sum(tf.square(scores - truth), axis=1) / self.mean_square
            return error + 1.0 - _cosine(truth, scores)
        if self.target.form == LABELS:
            losses = keras.ops.binary_crossentropy(truth, scores)
            if self.label_weights is not None:
                losses = losses * (1.0 + (self.label_weights - 1.0) * truth)
            return tf.reduce_mean(losses, axis=1)
        return keras.ops.categorical_crossentropy(truth, scores)

    def of_predictions(self, predictions: Predictions) -> float:
        """Return the mean loss of the predictions with a truth, without smoothing and weights."""
        judged = predictions.judged()
        truth = self.target.soft_truth(judged.true, judged.present)
        plain = Loss(self.target, None, self.mean_square)
        losses = np.asarray(plain.of_examples(tf.constant(truth), tf.constant(judged.scores)))
        return float(losses.mean(dtype=np.float64))


def _cosine(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    lengths = [
        tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(rows), axis=1), SMALLEST_LENGTH**2)) for rows in (first, second)
    ]
    return tf.reduce_sum(first * second, axis=1) / (lengths[0] * lengths[1])
