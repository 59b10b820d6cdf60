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

FAR = 1e9
"""Subtracted from the similarity of an example to itself, and to examples without a class or label."""


def contrastive_losses(
    embeddings: tf.Tensor, truth: tf.Tensor, all_embeddings: tf.Tensor, all_truth: tf.Tensor, first: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the loss of each example, and whether it has a positive: both ``(n,)``, float32.

    Positives are all other examples, weighted by the Jaccard similarity of the truths: for classes, those of the same
    class. The loss is the weighted mean of the negative logarithm of their softmax among all others that have a class
    or label [1]_. It is 0 without a positive.

    Parameters
    ----------
    embeddings, truth : tensor
        Shapes ``(n, 50)`` and ``(n, size)``: the examples of this rank. A truth is 1 for the classes or labels that the
        example has, otherwise 0; padding and examples without the target have none.
    all_embeddings, all_truth : tensor
        The examples of all ranks, of which those of this rank begin at row `first`.
    """
    own, everyone = (tf.math.l2_normalize(tf.cast(rows, tf.float32), axis=1) for rows in (embeddings, all_embeddings))
    n_own, n_all = tf.shape(own)[0], tf.shape(everyone)[0]
    itself = tf.one_hot(first + tf.range(n_own), n_all)
    shared, n_labels = tf.matmul(truth, all_truth, transpose_b=True), tf.reduce_sum(all_truth, axis=1)
    either = tf.reduce_sum(truth, axis=1)[:, None] + n_labels[None] - shared
    positive = tf.math.divide_no_nan(shared, either) * (1.0 - itself)
    left_out = tf.maximum(itself, tf.cast(n_labels == 0, tf.float32)[None])
    similarity = tf.matmul(own, everyone, transpose_b=True) / TEMPERATURE - FAR * left_out
    share = similarity - tf.reduce_logsumexp(similarity, axis=1, keepdims=True)
    weight = tf.reduce_sum(positive, axis=1)
    # The share of an example that is left out is about -1e9, times a weight of exactly 0.
    losses = -tf.math.divide_no_nan(tf.reduce_sum(positive * share, axis=1), weight)
    return losses, tf.cast(weight > 0, tf.float32)
