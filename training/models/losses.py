"""The loss of each example, for every target.

Genre and popularity: cross-entropy. Tags: binary cross-entropy, the mean over tags. Factors: the
squared error as a share of the factors' mean squared length, plus one minus the cosine. Factors are
compared by angle and by length in recommending; both parts are 1 for a model that says nothing
(all zeros), so that neither outweighs the other whatever the factors' scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from training.data.predictions import Predictions
from training.data.targets import FACTORS, TAGS, Target
from training.data.truth import soft_truth

SMALLEST_LENGTH = 1e-6
"""Vectors shorter than this have no direction to speak of: their cosine is 0."""


@dataclass(frozen=True)
class Loss:
    """The loss of a target's examples.

    Attributes
    ----------
    target : Target
    tag_weights : numpy.ndarray or None
        Shape ``(size,)``: weight of each tag where a song has it, against 1 where it has not.
    mean_square : float
        Mean squared length of the factors in the train split.
    """

    target: Target
    tag_weights: np.ndarray | None = None
    mean_square: float = 1.0

    def of_examples(self, truth: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example.

        Parameters
        ----------
        truth : tensorflow.Tensor
            Shape ``(n, size)``, float32: soft truths.
        scores : tensorflow.Tensor
            Shape ``(n, size)``, float32: what the model's head gives.

        Returns
        -------
        tensorflow.Tensor
            Shape ``(n,)``, float32.
        """
        if self.target.name == FACTORS:
            error = tf.reduce_sum(tf.square(scores - truth), axis=1) / self.mean_square
            return error + 1.0 - _cosine(truth, scores)
        if self.target.name == TAGS:
            losses = keras.ops.binary_crossentropy(truth, scores)
            if self.tag_weights is not None:
                losses = losses * (1.0 + (self.tag_weights - 1.0) * truth)
            return tf.reduce_mean(losses, axis=1)
        return keras.ops.categorical_crossentropy(truth, scores)

    def of_predictions(self, predictions: Predictions) -> float:
        """Return the mean loss of predictions, by their plain truths: neither smoothed nor weighed.

        Parameters
        ----------
        predictions : Predictions
            With an example that has the target.
        """
        judged = predictions.judged()
        truth = soft_truth(self.target, judged.true, judged.present)
        plain = Loss(self.target, None, self.mean_square)
        losses = np.asarray(plain.of_examples(tf.constant(truth), tf.constant(judged.scores)))
        return float(losses.mean(dtype=np.float64))


def _cosine(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    lengths = [
        tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(rows), axis=1), SMALLEST_LENGTH**2)) for rows in (first, second)
    ]
    return tf.reduce_sum(first * second, axis=1) / (lengths[0] * lengths[1])
