"""Recurrent layers along the segments, a stream each for chroma and timbre."""

from __future__ import annotations

import keras
from keras import layers, ops

from msd_spark.core.model_inputs import MASK
from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.parts import STREAMS, head, make_inputs, normalised
from training.models.settings import ModelSettings, Normalisation


def lstm(geometry: Geometry, target: Target, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return two LSTM layers of 10 units a stream, of which the output at the song's last segment counts.

    A stream: ``(300, 12)`` → ``(300, 10)`` → ``(300, 10)`` → ``(10,)``.

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

    Notes
    -----
    The layers get no mask. Padding comes after the song and a recurrence looks back alone, so
    the outputs within the song cannot depend on it; the one at the last segment is picked
    afterwards. Masked, every step of the loop would select between old and new states, and
    cuDNN's fused kernels, which Keras takes by itself on a GPU, could not always be used.
    """
    inputs = make_inputs(geometry)
    streams = []
    if settings.hears:
        mask = inputs[MASK]
        # 1 at the last segment alone: there the mask falls from 1 to 0, or ends.
        last = mask - ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
        for name in STREAMS:
            values = normalised(inputs, name, normalisation)
            for number, units in enumerate(settings.units, 1):
                values = layers.LSTM(units, return_sequences=True, name=f"{name}_{number}_lstm")(values)
            streams.append(layers.Dot(axes=1, name=f"{name}_last")([values, last]))
    return head(inputs, streams, target, normalisation, settings, "lstm")
