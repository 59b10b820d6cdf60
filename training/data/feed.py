"""Batches of a training step: augmented inputs, soft truths and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from msd_spark.core.model_inputs import CHROMA, DYNAMICS, LYRIC_VECTOR, TIMBRE
from msd_spark.core.options import Settings, at_least, between, nested, option
from training.data.assembly import ALIGNMENT, aligned_empty
from training.data.augmentation import SHARE, AugmentationSettings, augment, mix
from training.data.prefetch import prefetched
from training.data.targets.target import CLASS_WEIGHTS, NONE, Target

if TYPE_CHECKING:
    from training.data.dataset import Dataset
    from training.data.reading import Batch


class TrainingBatch(NamedTuple):
    """The examples of a step, as arrays or TensorFlow tensors.

    Attributes
    ----------
    inputs : dict
        By name.
    truth, weights : array
        Soft truths ``(batch, size)`` and weights ``(batch,)``. With a sampled softmax, truths are indices ``(batch,)``.
    also_truth, also_weights : array
        Those of the second target; without one, truths of width 0 and weights of 0.
    total : array
        Sums of the weights without class weights, and of `also_weights`: shape ``(2,)``.
    """

    inputs: dict[str, Any]
    truth: Any
    weights: Any
    also_truth: Any
    also_weights: Any
    total: Any


@dataclass(frozen=True)
class FeedSettings(Settings):
    """Truths, weights and augmentation of training examples."""

    class_weights: str = option(NONE, "rule for upweighting rare classes", choices=CLASS_WEIGHTS)
    prior_adjustment: float | None = option(
        None,
        "logit adjustment: multiple of the logarithms of the class shares that is added to the scores in the loss; "
        "1: train for equal class shares; 0: off; the model's own by default",
        metavar="FACTOR",
        check=between(0, 10),
    )
    label_smoothing: float = option(
        0.0, "share of each truth that is spread over all classes", metavar="SHARE", check=SHARE
    )
    sampled_softmax: int = option(
        0,
        "classes drawn per step for the softmax in training, for thousands of classes; 0: all classes",
        metavar="N",
        check=at_least(0),
    )
    augmentation: AugmentationSettings = nested(AugmentationSettings())


@dataclass(frozen=True)
class Feed:
    """Makes training batches from examples; `of_classes` has the weight of each class."""

    dataset: Dataset
    target: Target
    settings: FeedSettings
    of_classes: np.ndarray
    seed: int
    also: Target | None = None

    @cached_property
    def _mean(self) -> dict[str, np.ndarray]:
        """Means of inputs over the train split."""
        normalisation = self.dataset.metadata["normalisation"]
        return {name: np.asarray(normalisation[name]["mean"]) for name in (CHROMA, TIMBRE, DYNAMICS, LYRIC_VECTOR)}

    def prepared(self, batch: Batch, epoch: int) -> TrainingBatch:
        """Return the training batch of an epoch for a batch of examples."""
        settings, key, mean = self.settings.augmentation, (self.seed, epoch), self._mean
        if self.settings.sampled_softmax:
            truth = np.where(batch.present, batch.truth, 0).astype(np.float32)
        else:
            truth = self.target.soft_truth(batch.truth, batch.present, self.settings.label_smoothing)
        weights = self.target.example_weights(batch.truth, batch.present, batch.weights, self.of_classes)
        inputs = augment(batch.inputs, batch.track_ids, mean, settings, key)
        if settings.mixup:
            inputs, truth, weights = mix(inputs, truth, weights, batch.track_ids, mean, settings.mixup, key)
        also_truth, also_weights = np.zeros((len(weights), 0), np.float32), np.zeros(len(weights), np.float32)
        if self.also is not None and batch.also is not None:
            also_truth = self.also.soft_truth(*batch.also)
            also_weights = (batch.weights * batch.also[1]).astype(np.float32)
        total = np.array([batch.weights[batch.present].sum(), also_weights.sum()], np.float32)
        return TrainingBatch(inputs, truth, weights, also_truth, also_weights, total)

    def steps(self, make: Callable[[], Iterator[Batch]], epoch: int) -> Iterator[TrainingBatch]:
        """Yield batches of tensors from `make()`, called in a thread that runs ahead.

        `tf.data.Dataset.from_generator` takes twice the CPU time per example (`make bench-training`) and wraps errors.
        """

        def prepared() -> Iterator[TrainingBatch]:
            for batch in make():
                inputs, *others = self.prepared(batch, epoch)
                tensors = {name: to_tensor(values) for name, values in inputs.items()}
                yield TrainingBatch(tensors, *map(to_tensor, others))

        return prefetched(prepared)


def to_tensor(values: np.ndarray) -> Any:
    """Return a float32 tensor that shares the memory of an aligned array; do not change it later.

    Other arrays are copied to aligned memory, which takes a quarter of the time of `tf.convert_to_tensor`.
    """
    import tensorflow as tf

    if not values.size:
        return _without_values(values.shape)
    flags = values.flags
    if values.dtype != np.float32 or not (flags.c_contiguous and flags.writeable) or values.ctypes.data % ALIGNMENT:
        aligned = aligned_empty(values.shape, np.dtype(np.float32))
        aligned[...] = values
        values = aligned
    return tf.experimental.dlpack.from_dlpack(values.__dlpack__())


@lru_cache
def _without_values(shape: tuple[int, ...]) -> Any:
    import tensorflow as tf

    return tf.zeros(shape)
