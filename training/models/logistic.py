"""Multinomial regression on summary statistics of a song."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from msd_spark.core.model_inputs import CHROMA, TIMBRE
from training.models.parts import Streams, column, masked_mean
from training.models.settings import ModelSettings


def logistic(streams: Streams, mask: keras.KerasTensor, settings: ModelSettings) -> list[keras.KerasTensor]:
    """Return the features of a linear model: statistics of chroma and timbre.

    They are the mean (12) and covariance (78) of timbre and the mean of chroma (12); `build` adds the lyric vector.

    The settings `hidden`, `dropout` and `embedding_activation` do not apply. The embedding is a linear layer of 50
    units, as in all models. With fewer than 50 outputs, two linear layers are equivalent to one, and the scores are
    those of a multinomial regression.

    Segments are divided by the standard deviations of the train split, so the covariance of an average song is near
    the identity, which is subtracted. Mean and covariance as features of a song: Mandel and Ellis, "Song-level features
    and support vector machines for music classification", ISMIR 2005.
    """
    mean = masked_mean(streams[TIMBRE], mask, "timbre_mean")
    covariance = _covariance(streams[TIMBRE], mean, mask)
    return [mean, covariance, masked_mean(streams[CHROMA], mask, "chroma_mean")]


def _covariance(features: keras.KerasTensor, mean: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
    """Return the upper triangle of the covariance over a song's segments, minus the identity."""
    n_features = features.shape[2]
    centred = layers.Subtract(name="timbre_centred")([features, layers.Reshape((1, n_features))(mean)])
    share = column(mask / ops.sum(mask, axis=1, keepdims=True), "segment_share")
    weighted = layers.Multiply(name="timbre_weighted")([centred, share])
    squared = layers.Dot(axes=1, name="timbre_covariance")([weighted, centred])
    flat = layers.Reshape((n_features**2,), name="timbre_covariance_flat")(squared)
    rows, columns = np.triu_indices(n_features)
    upper = ops.take(flat, (rows * n_features + columns).tolist(), axis=1)
    return layers.Rescaling(1.0, offset=(-(rows == columns).astype(float)).tolist(), name="timbre_covariance_upper")(
        upper
    )
