"""Dense layers over the flattened segments: the baseline of the original project."""

from __future__ import annotations

import keras
from keras import layers

from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.parts import STREAMS, head, make_inputs, normalised
from training.models.settings import ModelSettings, Normalisation


def dense(geometry: Geometry, target: Target, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return dense layers over chroma and timbre, each flattened from ``(300, 12)`` to ``(3600,)``."""
    inputs = make_inputs(geometry)
    streams = [
        layers.Flatten(name=f"{name}_flat")(normalised(inputs, name, normalisation))
        for name in (STREAMS if settings.uses_audio else ())
    ]
    return head(inputs, streams, target, normalisation, settings, "dense")
