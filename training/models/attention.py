"""A CNN over chroma and timbre together, with optional self-attention and attentive pooling."""

from __future__ import annotations

import keras
from keras import layers, ops

from training.models.cnn import convolutions
from training.models.parts import Streams
from training.models.settings import ModelSettings

SMALLEST_VARIANCE = 1e-3
"""Added to the variance before the square root, whose gradient is infinite at 0."""


def attention(streams: Streams, mask: keras.KerasTensor, settings: ModelSettings) -> list[keras.KerasTensor]:
    """Return the features of convolutions, residual self-attention and attentive pooling.

    Chroma and timbre ``(300, 24)`` → convolutions and pooling as in the CNN ``(38, 128)`` → self-attention (A. Vaswani
    et al., "Attention is all you need", 2017) if `settings.heads` is above 0 → mean and standard deviation over time,
    weighted by a learned attention ``(256,)`` (K. Okabe, T. Koshinaka, K. Shinoda, "Attentive statistics pooling for
    deep speaker embedding", 2018) → dense layers.
    """
    both = layers.Concatenate(name="segments")(list(streams.values()))
    features, mask = convolutions(both, mask, "segments", settings)
    if settings.heads:
        features = _self_attention(features, mask, settings)
    return [attentive_statistics(features, mask)]


def _self_attention(features: keras.KerasTensor, mask: keras.KerasTensor, settings: ModelSettings) -> keras.KerasTensor:
    """Return features ``(n, n_features)`` plus their self-attention, without masked positions."""
    n_places, n_features = features.shape[1:]
    attended = layers.LayerNormalization(name="attention_normalised")(features)
    attended = layers.MultiHeadAttention(
        settings.heads, n_features // settings.heads, dropout=settings.dropout, name="self_attention"
    )(attended, attended, attention_mask=layers.Reshape((1, n_places), name="attention_mask")(mask))
    return layers.Add(name="attention_added")([features, attended])


def attentive_statistics(features: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
    """Return the attentive mean and standard deviation ``(2 * n_features,)``.

    Features are ``(n, n_features)``.
    """
    n_places, n_features = features.shape[1:]
    scores = layers.Dense(1, name="pool_score")(layers.Dense(n_features // 2, activation="tanh", name="pool")(features))
    flat = layers.Reshape((n_places,), name="pool_score_flat")(scores)
    share = layers.Softmax(name="pool_share")(flat, mask=ops.greater(mask, 0.5))
    mean = layers.Dot(axes=1, name="pool_mean")([features, share])
    centred = layers.Subtract(name="pool_centred")([features, layers.Reshape((1, n_features))(mean)])
    variance = layers.Dot(axes=1, name="pool_variance")([ops.square(centred), share])
    return layers.Concatenate(name="pool_statistics")([mean, ops.sqrt(variance + SMALLEST_VARIANCE)])
