"""The Keras models, from chroma, timbre and lyrics to a target's scores.

Every model is functional and has only layers and operations of Keras, so Keras alone loads it in safe mode. All have
the inputs of `msd_spark.core.model_inputs.input_shapes` and a layer named ``embedding``, of 50 units, before the head.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

from msd_spark.core.schemas import Geometry
from training.data.targets.target import Target
from training.models.attention import attention
from training.models.cnn import cnn
from training.models.dense import dense
from training.models.logistic import logistic
from training.models.lstm import lstm
from training.models.settings import ModelSettings, Normalisation

MODELS: dict[str, Callable[[Geometry, Target, Normalisation, ModelSettings], keras.Model]] = {
    "attention": attention,
    "cnn": cnn,
    "dense": dense,
    "logistic": logistic,
    "lstm": lstm,
}
"""The function that builds each model, by its name in ``--model``."""
