"""Recurrent layers along the segments, with one stream for chroma and one for timbre."""

from __future__ import annotations

import keras
from keras import layers, ops

from training.models.parts import Streams
from training.models.settings import ModelSettings


def lstm(streams: Streams, mask: keras.KerasTensor, settings: ModelSettings) -> list[keras.KerasTensor]:
    """Return the features of two LSTM layers of 10 units per stream.

    A stream: ``(300, 12)`` → ``(300, 10)`` → ``(300, 10)`` → ``(10,)``, the output at the last segment of the song. The
    layers have no mask: padding follows the song, so the outputs within the song do not depend on it. With a mask,
    cuDNN's fused kernels could not always be used.
    """
    features = []
    # 1 only at the last segment, where the mask falls from 1 to 0 or ends.
    last = mask - ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
    for name, values in streams.items():
        for number, units in enumerate(settings.units, 1):
            values = layers.LSTM(units, return_sequences=True, name=f"{name}_{number}_lstm")(values)
        features.append(layers.Dot(axes=1, name=f"{name}_last")([values, last]))
    return features
