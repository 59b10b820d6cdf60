"""The Keras models, from features of a song to a target's scores.

Every model is functional and has only layers and operations of Keras, so Keras alone loads it in safe mode. All have
inputs of `msd_spark.core.model_inputs.input_shapes` and a layer named ``embedding``, of 50 units, before the head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import keras

from msd_spark.core.model_inputs import MASK
from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.attention import attention
from training.models.cnn import cnn
from training.models.dense import dense
from training.models.logistic import logistic
from training.models.lstm import lstm
from training.models.parts import STREAMS, Streams, head, make_inputs, normalised
from training.models.settings import WIDE_DEEP, ModelSettings, Normalisation
from training.models.wide_deep import WIDE_DEEP_INPUTS, wide_deep

FEATURES: dict[str, Callable[[Streams, keras.KerasTensor, ModelSettings], list[keras.KerasTensor]]] = {
    function.__name__: function for function in (attention, cnn, dense, logistic, lstm)
}
"""Functions that return the features of a song from normalised streams and mask, by name in ``--model``."""


def build(
    name: str,
    geometry: Geometry,
    target: Target,
    normalisation: Normalisation,
    settings: ModelSettings,
    examples: float = 1000,
) -> keras.Model:
    """Return a model by its name, to be trained on a number of examples."""
    if name == WIDE_DEEP:
        inputs = make_inputs(geometry, WIDE_DEEP_INPUTS)
        return keras.Model(inputs, wide_deep(inputs, target, normalisation, settings, examples), name=name)
    inputs = make_inputs(geometry)
    if name == "logistic":
        settings = replace(settings, hidden=(), dropout=0.0, embedding_activation="linear")
    audio: list[keras.KerasTensor] = []
    if settings.uses_audio:
        streams = {stream: normalised(inputs, stream, normalisation) for stream in STREAMS}
        audio = FEATURES[name](streams, inputs[MASK], settings)
    return head(inputs, audio, target, normalisation, settings, name)


MODELS: dict[str, Callable[..., keras.Model]] = {name: partial(build, name) for name in (*FEATURES, WIDE_DEEP)}
"""The function that builds each model, by its name in ``--model``; parameters: those of `build` after the name."""
