"""The loss of each example, by the form of the target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from training.data.predictions import Predictions
from training.data.targets.target import LABELS, NUMBERS, Target

SMALLEST_LENGTH = 1e-6
"""The cosine of vectors shorter than this is 0."""

ROWS = 1024
"""Predictions whose losses are computed together."""

SMALLEST_SCORE = 1e-7
"""Smaller scores are raised to this before their logarithm."""


def prior_adjustment(totals: np.ndarray, factor: float) -> np.ndarray | None:
    """Return the `adjustment` of a `Loss`, shape ``(n_classes,)``; None if `factor` is 0.

    `totals` has the training examples per class; a class with none counts as half an example.
    """
    shares = np.maximum(totals, 0.5) / np.maximum(totals, 0.5).sum()
    return (factor * np.log(shares)).astype(np.float32) if factor else None


@dataclass(frozen=True)
class Loss:
    """Cross-entropy for classes, mean binary cross-entropy for labels, or a loss for numbers.

    The loss of numbers is the squared error, divided by the mean squared length of the truths in the train split
    (`mean_square`), plus 1 minus the cosine. Recommendations use both length and angle; both parts are 1 for a model
    that always returns 0, so neither dominates. `label_weights` has the weight of each label for examples that
    have it; for others the weight is 1.

    `adjustment` has one number per class, added to the logarithms of the scores. If these are the logarithms of the
    class shares, the scores become the probabilities under equal class shares, which maximise balanced accuracy [1]_.

    References
    ----------
    .. [1] A. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.
    """

    target: Target
    label_weights: np.ndarray | None = None
    mean_square: float = 1.0
    adjustment: np.ndarray | None = None

    def of_examples(self, truth: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Return losses ``(n,)`` from soft truths and scores ``(n, size)``, all float32."""
        if self.target.form == NUMBERS:
            error = tf.reduce_sum(tf.square(scores - truth), axis=1) / self.mean_square
            return error + 1.0 - _cosine(truth, scores)
        if self.target.form == LABELS:
            losses = keras.ops.binary_crossentropy(truth, scores)
            if self.label_weights is not None:
                losses = losses * (1.0 + (self.label_weights - 1.0) * truth)
            return tf.reduce_mean(losses, axis=1)
        if self.adjustment is None:
            return keras.ops.categorical_crossentropy(truth, scores)
        logits = tf.math.log(tf.maximum(scores, SMALLEST_SCORE)) + self.adjustment
        return tf.nn.softmax_cross_entropy_with_logits(truth, logits)

    def of_predictions(self, predictions: Predictions) -> float:
        """Return the mean loss of the predictions with a truth, without smoothing and class weights."""
        judged, plain, losses = predictions.judged(), replace(self, label_weights=None), []
        for start in range(0, len(judged), ROWS):  # a soft truth has a number per class
            part = judged.take(np.arange(start, min(start + ROWS, len(judged))))
            truth = self.target.soft_truth(part.true, part.present)
            losses.append(np.asarray(plain.of_examples(tf.constant(truth), tf.constant(part.scores))))
        return float(np.concatenate(losses).mean(dtype=np.float64))


def _cosine(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    lengths = [
        tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(rows), axis=1), SMALLEST_LENGTH**2)) for rows in (first, second)
    ]
    return tf.reduce_sum(first * second, axis=1) / (lengths[0] * lengths[1])
