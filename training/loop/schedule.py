"""The learning rate along a training, as a pure function."""

from __future__ import annotations

import math
from dataclasses import dataclass

NONE, COSINE, LINEAR, STEPS = "none", "cosine", "linear", "steps"
DECAYS = (NONE, COSINE, LINEAR, STEPS)
"""How the rate falls, by the name that ``--decay`` takes."""

SCALINGS = ("none", "linear", "sqrt")
"""How the rate grows with the ranks, by the name that ``--scale-learning-rate`` takes."""


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes.

    Attributes
    ----------
    learning_rate : float
        At the top, on one rank.
    scaling : str
        ``none``: ranks change nothing, so that 2 ranks with half the batch train as 1 rank with all
        of it. ``linear`` multiplies by the ranks [1]_, for as many times larger a global batch with
        SGD; ``sqrt`` by their square root, which suits Adam [2]_.
    warm_up : float
        Epochs in which the rate climbs from 0 to the top, in a straight line.
    decay : str
        After that, to the last epoch: ``none`` stays at the top, ``cosine`` and ``linear`` fall to 0,
        ``steps`` divides by 10 at one half and again at three quarters of the way.

    References
    ----------
    .. [1] P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
    .. [2] S. Malladi et al., "On the SDEs and scaling rules for adaptive gradient algorithms", 2022.
    """

    learning_rate: float = 1e-3
    scaling: str = "none"
    warm_up: float = 0.0
    decay: str = NONE

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        if not self.learning_rate > 0 or not math.isfinite(self.learning_rate) or self.warm_up < 0:
            raise ValueError(
                f"a learning rate is above 0 and a warm-up is not below it: {self.learning_rate}, {self.warm_up}"
            )
        if self.scaling not in SCALINGS or self.decay not in DECAYS:
            raise ValueError(f"no schedule is scaled by {self.scaling!r} and decays by {self.decay!r}")

    def peak(self, ranks: int) -> float:
        """Return the highest rate, on so many ranks."""
        return self.learning_rate * {"none": 1.0, "linear": float(ranks), "sqrt": math.sqrt(ranks)}[self.scaling]

    def at(self, progress: float, epochs: int, ranks: int = 1) -> float:
        """Return the rate of a step.

        Parameters
        ----------
        progress : float
            Epochs trained when the step is done: 2.25 at the end of a quarter of the third one.
        epochs : int
            Epochs in all.
        ranks : int

        Examples
        --------
        >>> cosine = Schedule(0.8, warm_up=2, decay="cosine")
        >>> [round(cosine.at(progress, 10), 3) for progress in (0.5, 1, 2, 6, 10)]
        [0.2, 0.4, 0.8, 0.4, 0.0]
        """
        peak = self.peak(ranks)
        if progress < self.warm_up:
            return peak * progress / self.warm_up
        # What is left after the warm-up, from 0 to 1.
        done = min(1.0, (progress - self.warm_up) / max(epochs - self.warm_up, 1e-9))
        if self.decay == COSINE:
            return peak * (1 + math.cos(math.pi * done)) / 2
        if self.decay == LINEAR:
            return peak * (1 - done)
        if self.decay == STEPS:
            return peak * (0.01 if done > 0.75 else 0.1 if done > 0.5 else 1.0)
        return peak
