"""Settings of the training loop."""

from __future__ import annotations

from dataclasses import dataclass, replace

from msd_spark.core.options import MOST_BATCH, SEED, Check, Settings, at_least, between, nested, option
from training.data.feed import FeedSettings
from training.data.targets import TARGETS
from training.data.targets.target import NONE
from training.evaluation.deciding import BEST_BY
from training.loop.optimizers import OptimizerSettings
from training.loop.schedule import Schedule

BATCH = 32
"""Examples per rank per step, unless chosen."""

AUTO, ON, OFF = "auto", "on", "off"
"""Values of ``--compile``."""

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
    batch_size: int | None = option(
        None,
        f"examples per rank per step, {BATCH} by default; times the number of ranks at the start, this is the global "
        "batch, which resuming on other ranks does not change",
        check=between(1, MOST_BATCH),
    )
    global_batch_size: int | None = option(
        None,
        "examples per step over all ranks together, instead of --batch-size",
        metavar="N",
        check=between(1, MOST_BATCH),
    )
    steps_per_epoch: int | None = option(
        None,
        "steps per epoch; passes over the train split continue across epochs; one pass by default",
        metavar="N",
        check=at_least(1),
    )
    streams: int | None = option(
        None,
        "parts of the train split that are read in parallel; ranks read separate files if their number divides this "
        "and this divides the global batch; the number of ranks at the start by default",
        metavar="N",
        check=between(1, MOST_BATCH),
    )
    patience: int = option(6, "stop after this many epochs without improvement; 0: never", check=at_least(0))
    best_by: str | None = option(
        None,
        "what selects the best epoch on validation: the target's main metric, or the loss; the model's own by default",
        choices=BEST_BY,
    )
    shuffle_window: int = option(4, "row groups to shuffle together; 0: keep the order", check=at_least(0))
    seed: int = option(0, "random seed for weights, dropout, augmentation, reading order and bootstrap", check=SEED)
    train_metrics: bool = option(False, "also evaluate the train split after every epoch, for the history")
    xla: str = option(
        AUTO,
        "compile the forward and backward pass by XLA; auto: lstm on CPUs; on: excludes --contrastive on several ranks",
        name="compile",
        choices=(AUTO, ON, OFF),
    )
    evaluation_batch: int = option(256, "examples per call of the model in evaluation", check=between(1, MOST_BATCH))
    schedule: Schedule = nested(Schedule())
    optimizer: OptimizerSettings = nested(OptimizerSettings())
    feed: FeedSettings = nested(FeedSettings())
    embedding: EmbeddingSettings = nested(EmbeddingSettings())

    @property
    def batch_of_rank(self) -> int:
        """Examples per rank per step, at the start of the run."""
        return self.batch_size or BATCH

    @property
    def first_ranks(self) -> int:
        """Number of ranks at the start of a run, from its global batch; scales the learning rate."""
        return max(1, (self.global_batch_size or 1) // self.batch_of_rank)

    def of_run(self, ranks: int) -> TrainingSettings:
        """Return the settings with global batch and streams of a run that starts on `ranks` ranks.

        Examples
        --------
        >>> run = TrainingSettings(batch_size=10).of_run(3)
        >>> run.global_batch_size, run.streams, run.of_run(2) == run
        (30, 3, True)
        """
        size = self.global_batch_size or self.batch_of_rank * ranks
        return replace(self, global_batch_size=size, streams=self.streams or min(ranks, size))


@dataclass(frozen=True)
class CheckpointSettings(Settings):
    """When checkpoints are written, and whether the finished run keeps the last one."""

    every: int = option(
        1,
        "epochs between checkpoints; 0: none at the end of an epoch",
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
    keep: bool = option(
        True,
        "keep the last checkpoint in the finished run's folder, to resume it with more --epochs",
        name="keep-checkpoints",
    )
