"""A CNN along the segments, with one stream for chroma and one for timbre."""

from __future__ import annotations

import keras
from keras import layers

from msd_spark.core.model_inputs import MASK
from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.parts import STREAMS, column, head, make_inputs, masked_mean, normalised
from training.models.settings import ModelSettings, Normalisation


def cnn(geometry: Geometry, target: Target, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return a 1-D CNN with one stream for chroma and one for timbre.

    A stream has convolutions with max pooling and a mean over the song's segments: ``(300, 12)`` → ``(75, 128)`` →
    ``(38, 128)`` → ``(19, 256)`` → ``(256,)``. Dense layers combine both streams and the lyric vector.
    """
    inputs = make_inputs(geometry)
    streams = []
    for name in STREAMS if settings.uses_audio else ():
        features, mask = convolutions(normalised(inputs, name, normalisation), inputs[MASK], name, settings)
        streams.append(masked_mean(features, mask, f"{name}_mean"))
    return head(inputs, streams, target, normalisation, settings, "cnn")


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
