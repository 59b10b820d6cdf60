"""Dense layers over the flattened segments: the baseline of the original project."""

from __future__ import annotations

import keras
from keras import layers

from training.models.parts import Streams
from training.models.settings import ModelSettings


def dense(streams: Streams, mask: keras.KerasTensor, settings: ModelSettings) -> list[keras.KerasTensor]:
    """Return chroma and timbre, each flattened from ``(300, 12)`` to ``(3600,)``."""
    return [layers.Flatten(name=f"{name}_flat")(values) for name, values in streams.items()]
