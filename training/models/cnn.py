"""A CNN along the segments, with one stream for chroma and one for timbre."""

from __future__ import annotations

import keras
from keras import layers

from training.models.parts import Streams, column, masked_mean
from training.models.settings import ModelSettings


def cnn(streams: Streams, mask: keras.KerasTensor, settings: ModelSettings) -> list[keras.KerasTensor]:
    """Return the features of a 1-D CNN with one stream for chroma and one for timbre.

    A stream has convolutions with max pooling and a mean over the song's segments: ``(300, 12)`` → ``(75, 128)`` →
    ``(38, 128)`` → ``(19, 256)`` → ``(256,)``. Dense layers combine both streams and the lyric vector.
    """
    pooled = {name: convolutions(values, mask, name, settings) for name, values in streams.items()}
    return [masked_mean(*features_and_mask, f"{name}_mean") for name, features_and_mask in pooled.items()]


def convolutions(
    features: keras.KerasTensor, mask: keras.KerasTensor, name: str, settings: ModelSettings
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return features and mask after convolutions and pooling; `name` prefixes the layers.

    The features ``(n_segments, n_features)`` are 0 in the padding, before and after; the pooled mask ``(n,)`` is 1 if
    any of the pooled segments exists.
    """
    existing = column(mask, f"{name}_there")
    for number, (filters, pool) in enumerate(zip(settings.filters, settings.pools, strict=True), 1):
        label = f"{name}_{number}"
        features = layers.Conv1D(
            filters, settings.width, padding="same", activation="relu", name=f"{label}_convolution"
        )(features)
        # The output of a filter beyond the end of the song must not pass the pooling.
        features = layers.Multiply(name=f"{label}_masked")([features, existing])
        features = layers.MaxPooling1D(pool, padding="same", name=f"{label}_pool")(features)
        existing = layers.MaxPooling1D(pool, padding="same", name=f"{label}_mask_pool")(existing)
    return features, layers.Reshape((existing.shape[1],), name=f"{name}_mask_flat")(existing)
