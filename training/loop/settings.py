"""Settings of the training loop."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import MOST_BATCH, SEED, Check, Settings, at_least, between, nested, option
from training.data.feed import FeedSettings
from training.data.targets import TARGETS
from training.data.targets.target import NONE
from training.evaluation.deciding import BEST_BY
from training.loop.optimizers import OptimizerSettings
from training.loop.schedule import Schedule

RANK, ALL = "rank", "all"
"""Values of ``--batch-of``."""

LARGEST_WEIGHT = 1000
"""Largest weight of a further loss; an infinite one would make every loss NaN."""


@dataclass(frozen=True)
class EmbeddingSettings(Settings):
    """Further losses on the embedding."""

    also: str = option(
        NONE,
        "second target, learned from the embedding by examples that have it, with or without the first one",
        choices=(NONE, *TARGETS),
    )
    also_weight: float = option(
        3.0,
        "weight of the loss of --also",
        metavar="WEIGHT",
        check=Check(lambda weight: 0 < weight <= LARGEST_WEIGHT, f"greater than 0, up to {LARGEST_WEIGHT}"),
    )
    contrastive: float | None = option(
        None,
        "weight of a supervised contrastive loss, which moves songs of one class, or with similar tags, together in "
        "the embedding; 0: off; the model's own by default",
        metavar="WEIGHT",
        check=between(0, LARGEST_WEIGHT),
    )


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Settings of the training loop; ``training_settings`` in a run's metadata."""

    epochs: int = option(30, "maximum number of epochs", check=at_least(1))
    batch: int = option(32, "examples per rank per step", check=between(1, MOST_BATCH))
    patience: int = option(6, "stop after this many epochs without improvement; 0: never", check=at_least(0))
    best_by: str | None = option(
        None,
        "what selects the best epoch on validation: the target's main metric, or the loss; the model's own by default",
        choices=BEST_BY,
    )
    shuffle_window: int = option(4, "row groups to shuffle together; 0: keep the order", check=at_least(0))
    seed: int = option(0, "random seed for weights, dropout, augmentation, reading order and bootstrap", check=SEED)
    batch_of: str = option(
        RANK, "whether --batch counts the examples of each rank, or of all ranks together", choices=(RANK, ALL)
    )
    train_metrics: bool = option(False, "also evaluate the train split after every epoch, for the history")
    xla: bool = option(
        False, "compile forward and backward pass by XLA; excludes --contrastive on several ranks", name="compile"
    )
    evaluation_batch: int = option(256, "examples per call of the model in evaluation", check=between(1, MOST_BATCH))
    schedule: Schedule = nested(Schedule())
    optimizer: OptimizerSettings = nested(OptimizerSettings())
    feed: FeedSettings = nested(FeedSettings())
    embedding: EmbeddingSettings = nested(EmbeddingSettings())

    def batches(self, ranks: int) -> list[int]:
        """Return the examples per step of each rank; ranks share a batch as evenly as possible.

        Examples
        --------
        >>> TrainingSettings(batch=10).batches(3), TrainingSettings(batch=10, batch_of="all").batches(3)
        ([10, 10, 10], [4, 3, 3])
        """
        if self.batch_of == RANK:
            return [self.batch] * ranks
        return [self.batch // ranks + (rank < self.batch % ranks) for rank in range(ranks)]


@dataclass(frozen=True)
class CheckpointSettings(Settings):
    """When checkpoints are written, and whether the finished run keeps the last one."""

    every: int = option(
        1,
        "epochs between checkpoints; 0: no checkpoints",
        name="checkpoint-every",
        metavar="EPOCHS",
        check=at_least(0),
    )
    steps: int = option(
        0,
        "steps between checkpoints within an epoch; 0: none within an epoch",
        name="checkpoint-steps",
        metavar="STEPS",
        check=at_least(0),
    )
    keep: bool = option(False, "keep the last checkpoint in the finished run's folder", name="keep-checkpoints")
