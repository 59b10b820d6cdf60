"""How a model is trained."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.data.feed import FeedSettings
from training.evaluation.deciding import BEST_BY, METRIC
from training.loop.optimizers import OptimizerSettings
from training.loop.schedule import Schedule


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained.

    Attributes
    ----------
    epochs : int
        At most; training stops early after `patience` epochs without a better one.
    batch : int
        Examples a rank takes a step.
    patience : int
        0 never stops early.
    best_by : str
        One of `BEST_BY`: what says on the validation split which epoch is the best. Its weights are kept.
    shuffle_window : int
        Row groups within which examples are shuffled.
    seed : int
        Of the reading order, the augmentation and dropout.
    schedule : Schedule
    optimizer : OptimizerSettings
    feed : FeedSettings
    """

    epochs: int = 30
    batch: int = 32
    patience: int = 6
    best_by: str = METRIC
    shuffle_window: int = 4
    seed: int = 0
    schedule: Schedule = field(default_factory=Schedule)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    feed: FeedSettings = field(default_factory=FeedSettings)

    def __post_init__(self) -> None:
        """Refuse counts below what they can be."""
        if self.best_by not in BEST_BY:
            raise ValueError(f"the best epoch is judged by one of {', '.join(BEST_BY)}, not {self.best_by}")
        if min(self.epochs, self.batch) < 1 or min(self.patience, self.shuffle_window) < 0:
            raise ValueError("epochs and batch are at least 1, patience and shuffle window at least 0")
