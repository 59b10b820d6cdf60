"""Convolutions along the segments, a stream each for chroma and timbre."""

from __future__ import annotations

import keras
from keras import layers

from msd_spark.core.model_inputs import MASK
from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.parts import STREAMS, column, head, make_inputs, masked_mean, normalised
from training.models.settings import ModelSettings, Normalisation


def cnn(geometry: Geometry, target: Target, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return a 1-D CNN with a stream each for chroma and timbre.

    A stream is a row of convolutions, each followed by max pooling, and a mean over the
    segments that are there: ``(300, 12)`` → ``(75, 128)`` → ``(38, 128)`` → ``(19, 256)`` →
    ``(256,)``. Both streams and the lyric vector meet in dense layers.

    Parameters
    ----------
    geometry : Geometry
    target : Target
    normalisation : mapping
    settings : ModelSettings

    Returns
    -------
    keras.Model
        From the named inputs to scores ``(target.size,)``.
    """
    inputs = make_inputs(geometry)
    streams = []
    for name in STREAMS if settings.hears else ():
        features, mask = convolutions(normalised(inputs, name, normalisation), inputs[MASK], name, settings)
        streams.append(masked_mean(features, mask, f"{name}_mean"))
    return head(inputs, streams, target, normalisation, settings, "cnn")


def convolutions(
    features: keras.KerasTensor, mask: keras.KerasTensor, name: str, settings: ModelSettings
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return features ``(n_segments, n)`` after convolutions and max pooling, and the mask of what is left.

    Parameters
    ----------
    features : KerasTensor
        Shape ``(n_segments, n_features)``, zero in the padding.
    mask : KerasTensor
        Shape ``(n_segments,)``.
    name : str
        Begins the layers' names.
    settings : ModelSettings

    Returns
    -------
    tuple of KerasTensor
        Shapes ``(n, filters[-1])``, zero in the padding, and ``(n,)``, 1 where any segment was.
    """
    there = column(mask, f"{name}_there")
    for number, (filters, pool) in enumerate(zip(settings.filters, settings.pools, strict=True), 1):
        label = f"{name}_{number}"
        features = layers.Conv1D(
            filters, settings.width, padding="same", activation="relu", name=f"{label}_convolution"
        )(features)
        # A filter's answer beyond the song's end must not outlive the pooling.
        features = layers.Multiply(name=f"{label}_masked")([features, there])
        features = layers.MaxPooling1D(pool, padding="same", name=f"{label}_pool")(features)
        there = layers.MaxPooling1D(pool, padding="same", name=f"{label}_mask_pool")(there)
    return features, layers.Reshape((there.shape[1],), name=f"{name}_mask_flat")(there)
