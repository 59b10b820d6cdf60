"""Dense layers over the flattened segments: the original project's baseline."""

from __future__ import annotations

import keras
from keras import layers

from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.parts import STREAMS, head, make_inputs, normalised
from training.models.settings import ModelSettings, Normalisation


def dense(geometry: Geometry, target: Target, normalisation: Normalisation, settings: ModelSettings) -> keras.Model:
    """Return dense layers over chroma and timbre, each flattened from ``(300, 12)`` to ``(3600,)``.

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
    streams = [
        layers.Flatten(name=f"{name}_flat")(normalised(inputs, name, normalisation))
        for name in (STREAMS if settings.hears else ())
    ]
    return head(inputs, streams, target, normalisation, settings, "dense")
