"""Optimizers, gradient clipping and loss scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msd_spark.core.options import Settings, at_least, option

if TYPE_CHECKING:
    import keras

ADAM, SGD, ADAMW = "adam", "sgd", "adamw"
OPTIMIZERS = (ADAM, SGD, ADAMW)

FLOAT16 = "float16"
POLICIES = {"float32": "float32", FLOAT16: "mixed_float16", "bfloat16": "mixed_bfloat16"}
"""Name in Keras of each value of ``--precision``."""


@dataclass(frozen=True)
class OptimizerSettings(Settings):
    """The optimizer, gradient clipping and precision."""

    name: str = option(ADAM, "optimizer", name="optimizer", choices=OPTIMIZERS)
    momentum: float = option(0.9, "momentum of sgd", check=at_least(0))
    weight_decay: float = option(1e-2, "weight decay of adamw, multiplied by the learning rate", check=at_least(0))
    clip_norm: float = option(
        0.0, "clip the norm of the gradient over all ranks to this; 0: no clipping", check=at_least(0)
    )
    precision: str = option(
        "float32",
        "precision in which layers compute; float16 with loss scaling; weights and saved model are float32",
        choices=tuple(POLICIES),
    )

    @property
    def dtype_policy(self) -> str:
        """Name of the precision in Keras."""
        return POLICIES[self.precision]


def make_optimizer(settings: OptimizerSettings, learning_rate: float) -> keras.optimizers.Optimizer:
    """Return an optimizer whose ``apply`` takes the gradient over all ranks.

    Clipping and the overflow check follow the reduction, so every rank decides the same. In float16 the caller
    differentiates ``optimizer.scale_loss(loss)``; ``apply`` undoes the scale before clipping, skips a step with a
    gradient that is not finite, and adapts the scale.
    """
    import keras

    clip = settings.clip_norm or None
    optimizer: keras.optimizers.Optimizer
    if settings.name == SGD:
        optimizer = keras.optimizers.SGD(learning_rate, momentum=settings.momentum, global_clipnorm=clip)
    elif settings.name == ADAMW:
        optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=settings.weight_decay, global_clipnorm=clip)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=clip)
    return keras.optimizers.LossScaleOptimizer(optimizer) if settings.precision == FLOAT16 else optimizer
