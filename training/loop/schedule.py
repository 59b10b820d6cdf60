"""The learning rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from msd_spark.core.options import Check, Settings, at_least, option

NONE, COSINE, LINEAR, STEPS = "none", "cosine", "linear", "steps"
DECAYS = (NONE, COSINE, LINEAR, STEPS)
SCALINGS = ("none", "linear", "sqrt")


@dataclass(frozen=True)
class Schedule(Settings):
    """The learning rate over a training.

    After the warm-up, ``cosine`` and ``linear`` fall to 0 at the last epoch; ``steps`` divides the rate by 10 at one
    half and again at three quarters of the remaining epochs. ``linear`` scaling suits SGD [1]_, ``sqrt`` Adam [2]_.

    References
    ----------
    .. [1] P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
    .. [2] S. Malladi et al., "On the SDEs and scaling rules for adaptive gradient algorithms", 2022.
    """

    learning_rate: float = option(
        1e-3, "peak learning rate on one rank", check=Check(lambda value: 0 < value < math.inf, "a number above 0")
    )
    scaling: str = option(
        "none",
        "growth of the learning rate with the number of ranks; none: 2 ranks train as 1 rank with twice the batch",
        name="scale-learning-rate",
        choices=SCALINGS,
    )
    warm_up: float = option(
        0.0, "epochs of linear warm-up to the peak learning rate", metavar="EPOCHS", check=at_least(0)
    )
    decay: str = option(NONE, "decay of the learning rate after the warm-up, to the last epoch", choices=DECAYS)

    def peak(self, ranks: int) -> float:
        """Return the peak learning rate on a number of ranks."""
        return self.learning_rate * {"none": 1.0, "linear": float(ranks), "sqrt": math.sqrt(ranks)}[self.scaling]

    def at(self, progress: float, epochs: int, ranks: int = 1) -> float:
        """Return the learning rate of a step that ends after `progress` epochs, such as 2.25.

        Examples
        --------
        >>> cosine = Schedule(0.8, warm_up=2, decay="cosine")
        >>> [round(cosine.at(progress, 10), 3) for progress in (0.5, 1, 2, 6, 10)]
        [0.2, 0.4, 0.8, 0.4, 0.0]
        """
        peak = self.peak(ranks)
        if progress < self.warm_up:
            return peak * progress / self.warm_up
        # Progress after the warm-up, from 0 to 1.
        done = min(1.0, (progress - self.warm_up) / max(epochs - self.warm_up, 1e-9))
        if self.decay == COSINE:
            return peak * (1 + math.cos(math.pi * done)) / 2
        if self.decay == LINEAR:
            return peak * (1 - done)
        if self.decay == STEPS:
            return peak * (0.01 if done > 0.75 else 0.1 if done > 0.5 else 1.0)
        return peak
