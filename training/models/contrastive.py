"""A supervised contrastive loss on the embeddings.

Songs with the same genre or similar tags get similar embeddings.

References
----------
.. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.
"""

from __future__ import annotations

import tensorflow as tf

TEMPERATURE = 0.1
"""Cosines are divided by this before the softmax."""

PRESENT = 0.5
"""A smoothed truth above this is a class or label that the example has."""

FAR = 1e9
"""Subtracted from the similarity to examples that are left out of the softmax."""


def contrastive_losses(
    embeddings: tf.Tensor, truth: tf.Tensor, all_embeddings: tf.Tensor, all_truth: tf.Tensor, first: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the loss of each example, and whether it has a positive: both ``(n,)``, float32.

    Positives are all other examples, weighted by the Jaccard similarity of the truths: for classes, those of the same
    class. The loss is the weighted mean of the negative logarithm of their softmax among all others [1]_. It is 0
    without a positive. Padding and examples without the target are left out: they are neither positives nor negatives.

    Parameters
    ----------
    embeddings, truth : tensor
        Shapes ``(n, 50)`` and ``(n, size)``: the examples of this rank; those without the target have zeros as truth.
    all_embeddings, all_truth : tensor
        The examples of all ranks, of which those of this rank begin at row `first`.
    """
    own, everyone = (tf.math.l2_normalize(tf.cast(rows, tf.float32), axis=1) for rows in (embeddings, all_embeddings))
    has, all_have = (tf.cast(rows > PRESENT, tf.float32) for rows in (truth, all_truth))
    n_own, n_all = tf.shape(own)[0], tf.shape(everyone)[0]
    left_out = tf.maximum(
        tf.one_hot(first + tf.range(n_own), n_all), tf.cast(tf.reduce_sum(all_have, axis=1) == 0, tf.float32)[None]
    )
    shared = tf.matmul(has, all_have, transpose_b=True)
    either = tf.reduce_sum(has, axis=1)[:, None] + tf.reduce_sum(all_have, axis=1)[None] - shared
    positive = tf.math.divide_no_nan(shared, either) * (1.0 - left_out)
    similarity = tf.matmul(own, everyone, transpose_b=True) / TEMPERATURE - FAR * left_out
    share = similarity - tf.reduce_logsumexp(similarity, axis=1, keepdims=True)
    weight = tf.reduce_sum(positive, axis=1)
    # The share of an example that is left out is about -1e9, times a weight of exactly 0.
    losses = -tf.math.divide_no_nan(tf.reduce_sum(positive * share, axis=1), weight)
    return losses, tf.cast(weight > 0, tf.float32)
