"""Optimizers, gradient clipping and loss scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

ADAM, SGD, ADAMW = "adam", "sgd", "adamw"
OPTIMIZERS = (ADAM, SGD, ADAMW)
"""Every optimizer by the name that ``--optimizer`` takes."""

FLOAT32, MIXED = "float32", "mixed"
PRECISIONS = (FLOAT32, MIXED)
"""How layers compute, by the name that ``--precision`` takes."""


@dataclass(frozen=True)
class OptimizerSettings:
    """Which optimizer.

    Attributes
    ----------
    name : str
        One of `OPTIMIZERS`.
    momentum : float
        Of SGD.
    weight_decay : float
        Of AdamW: share of a kernel, times the learning rate, that each step takes off.
    clip_norm : float
        Greatest length of the gradient of all weights together; 0 does not clip.
    precision : str
        One of `PRECISIONS`. ``mixed`` computes in float16 and keeps weights in float32.
    """

    name: str = ADAM
    momentum: float = 0.9
    weight_decay: float = 1e-2
    clip_norm: float = 0.0
    precision: str = FLOAT32

    @property
    def dtype_policy(self) -> str:
        """Keras's name of the precision."""
        return "mixed_float16" if self.precision == MIXED else "float32"


def make_optimizer(settings: OptimizerSettings, learning_rate: float) -> keras.optimizers.Optimizer:
    """Return an optimizer whose ``apply`` takes the gradient over all ranks.

    Clipping and the check for overflow stand behind the reduction, so every rank decides the same.
    In mixed precision the caller takes the gradient of ``optimizer.scale_loss(loss)``; ``apply``
    undoes the scale before it clips, leaves a step out whose gradient is no number, and adapts the scale.
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
    return keras.optimizers.LossScaleOptimizer(optimizer) if settings.precision == MIXED else optimizer
