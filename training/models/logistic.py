"""Multinomial regression on summary statistics of a song."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
from keras import layers, ops

from msd_spark.core.model_inputs import CHROMA, MASK, TIMBRE
from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.parts import column, head, make_inputs, masked_mean, normalised
from training.models.settings import ModelSettings, Normalisation


def logistic(geometry: Geometry, target: Target, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return a linear model of statistics of chroma and timbre, and of lyrics.

    Its features are the mean (12) and covariance (78) of timbre, the mean of chroma (12) and the lyric vector.

    The settings `hidden`, `dropout` and `embedding_activation` do not apply. The embedding is a linear layer of 50
    units, as in all models. With fewer than 50 outputs, two linear layers are equivalent to one, and the scores are
    those of a multinomial regression.

    Segments are divided by the standard deviations of the train split, so the covariance of an average song is near
    the identity, which is subtracted. Mean and covariance as features of a song: Mandel and Ellis, "Song-level features
    and support vector machines for music classification", ISMIR 2005.
    """
    inputs = make_inputs(geometry)
    summaries = []
    if settings.uses_audio:
        mask = inputs[MASK]
        timbre = normalised(inputs, TIMBRE, normalisation)
        mean = masked_mean(timbre, mask, "timbre_mean")
        summaries = [
            mean,
            _covariance(timbre, mean, mask),
            masked_mean(normalised(inputs, CHROMA, normalisation), mask, "chroma_mean"),
        ]
    plain = replace(settings, hidden=(), dropout=0.0, embedding_activation="linear")
    return head(inputs, summaries, target, normalisation, plain, "logistic")


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
