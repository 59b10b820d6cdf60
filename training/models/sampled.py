"""A softmax over a sample of the classes, for the training of heads with many classes.

References
----------
.. [1] S. Jean, K. Cho, R. Memisevic, Y. Bengio, "On using very large target vocabulary for neural machine translation",
   ACL 2015.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf

from training.models.losses import Loss
from training.models.settings import SCORE_LAYERS


@dataclass(frozen=True)
class SampledSoftmax:
    """The cross-entropy of a model's classes, estimated from a sample of `size` classes per step.

    The sample is uniform and without replacement. In the softmax, the sum over the classes other than the true one is
    estimated by that over the sampled ones, divided by their share of all classes [1]_; with all classes in the sample
    it is exact.
    """

    model: keras.Model
    loss: Loss
    size: int
    seed: int

    @property
    def layers(self) -> list[keras.layers.Dense]:
        """The linear layers whose outputs add up to the scores before the softmax."""
        names = {layer.name for layer in self.model.layers}
        own = SCORE_LAYERS if names.issuperset(SCORE_LAYERS) else (self.loss.target.name,)
        return [self.model.get_layer(name) for name in own]

    @property
    def inputs(self) -> dict[str, keras.KerasTensor]:
        """The input of each of `layers`, by its name."""
        return {layer.name: layer.input for layer in self.layers}

    def classes(self, step: tf.Tensor) -> tf.Tensor:
        """Return the sampled classes of a step, the same on every rank: shape ``(size,)``, int32."""
        seed = tf.stack([tf.cast(value, tf.int64) for value in (self.seed, step)])
        # The shuffle alone does not draw classes equally often for consecutive seeds.
        seed = tf.random.stateless_uniform([2], seed, None, None, tf.int64)
        return tf.random.experimental.index_shuffle(tf.range(self.size), seed, self.loss.target.size - 1)

    def of_examples(self, truth: tf.Tensor, inputs: Mapping[str, tf.Tensor], classes: tf.Tensor) -> tf.Tensor:
        """Return losses ``(n,)`` from the indices of the true classes and the inputs of `layers`."""
        truth = tf.cast(truth, tf.int32)
        places, n = tf.concat([truth, classes], axis=0), tf.shape(truth)[0]
        scores = tf.zeros(()) if self.loss.adjustment is None else tf.gather(self.loss.adjustment, places)
        for layer in self.layers:
            kernel = tf.gather(layer.kernel.value, places, axis=1)
            scores += tf.matmul(tf.cast(inputs[layer.name], tf.float32), kernel)
            if layer.use_bias:
                scores += tf.gather(layer.bias.value, places)
        own, others = tf.linalg.diag_part(scores[:, :n]), scores[:, n:]
        others -= math.log(self.size / self.loss.target.size)
        others = tf.where(truth[:, None] == classes[None], -math.inf, others)
        return tf.reduce_logsumexp(tf.concat([own[:, None], others], axis=1), axis=1) - own
