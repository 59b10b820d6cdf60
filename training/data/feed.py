"""The batches of a training epoch as TensorFlow takes them: soft truths, weights, augmented inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from msd_spark.core.model_inputs import CHROMA, LYRIC_VECTOR, TIMBRE
from msd_spark.core.options import Settings, nested, option
from training.data.augmentation import SHARE, AugmentationSettings, augment, mix
from training.data.dataset import Dataset
from training.data.prefetch import prefetched
from training.data.reading import Batch
from training.data.targets import Target
from training.data.truth import CLASS_WEIGHTS, NONE, class_weights, example_weights, soft_truth

if TYPE_CHECKING:
    import tensorflow as tf

    TensorBatch = tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]
    """A `TrainingBatch` as TensorFlow's own."""

TrainingBatch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""Inputs by name, soft truths ``(batch, size)`` and weights ``(batch,)``."""


@dataclass(frozen=True)
class FeedSettings(Settings):
    """Truths, weights and augmentation of training examples."""

    class_weights: str = option(NONE, "rule for weighting rare classes up", choices=CLASS_WEIGHTS)
    label_smoothing: float = option(
        0.0, "share of each truth that is spread over all classes", metavar="SHARE", check=SHARE
    )
    augmentation: AugmentationSettings = nested(AugmentationSettings())


@dataclass(frozen=True)
class Feed:
    """Turns examples into what a training step takes.

    Attributes
    ----------
    dataset : Dataset
    target : Target
    settings : FeedSettings
    of_classes : numpy.ndarray
        Shape ``(size,)``: the weight of each class.
    seed : int
    """

    dataset: Dataset
    target: Target
    settings: FeedSettings
    of_classes: np.ndarray
    seed: int

    @classmethod
    def of(
        cls, dataset: Dataset, target: Target, settings: FeedSettings, totals: np.ndarray, examples: float, seed: int
    ) -> Feed:
        """Return the feed of a dataset whose train split has `totals` of each class, in so many `examples`."""
        weights = class_weights(target, totals, examples, settings.class_weights)
        return cls(dataset, target, settings, weights, seed)

    def prepared(self, batch: Batch, epoch: int) -> TrainingBatch:
        """Return a batch as a step of an epoch takes it."""
        settings, key = self.settings.augmentation, (self.seed, epoch)
        mean = {
            name: np.asarray(self.dataset.metadata["normalisation"][name]["mean"])
            for name in (CHROMA, TIMBRE, LYRIC_VECTOR)
        }
        truth = soft_truth(self.target, batch.truth, batch.present, self.settings.label_smoothing)
        weights = example_weights(self.target, batch.truth, batch.present, batch.weights, self.of_classes)
        inputs = augment(batch.inputs, batch.track_ids, mean, settings, key)
        if settings.mixup:
            inputs, truth, weights = mix(inputs, truth, weights, batch.track_ids, mean, settings.mixup, key)
        return inputs, truth, weights

    def steps(self, make: Callable[[], Iterator[Batch]], epoch: int) -> Iterator[TensorBatch]:
        """Give batches as TensorFlow's own, made in a thread that runs ahead of the training.

        `tf.data.Dataset.from_generator` would do the same at twice the CPU time an example (`make bench-training`),
        and would wrap what goes wrong into an error of its own.

        Parameters
        ----------
        make : callable
            Called in the thread; returns the batches.
        epoch : int
        """
        import tensorflow as tf

        def prepared() -> Iterator[TensorBatch]:
            for batch in make():
                inputs, truth, weights = self.prepared(batch, epoch)
                tensors = {name: tf.convert_to_tensor(values, tf.float32) for name, values in inputs.items()}
                yield tensors, tf.convert_to_tensor(truth, tf.float32), tf.convert_to_tensor(weights, tf.float32)

        return prefetched(prepared)
