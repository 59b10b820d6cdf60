"""Targets by the form of their truths: one class, any number of labels, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from training.data.targets.target import CLASSES, LABELS, NUMBERS, Target

LABEL_THRESHOLD = 0.5
"""Lowest probability at which a label is predicted."""


@dataclass(frozen=True)
class ClassTarget(Target):
    """A target of one class per example; truths are indices."""

    form = CLASSES
    activation = "softmax"
    prior_name = "majority"
    arrow_type = pa.string()

    def empty_truth(self, n: int) -> np.ndarray:
        """Return an array for the classes of `n` examples."""
        return np.zeros(n, np.int32)

    def fits(self, truth: np.ndarray, present: np.ndarray) -> bool:
        """Return whether the truths are indices of classes."""
        return bool(((truth >= 0) & (truth < self.size))[present].all())

    def _scores(self, truth: np.ndarray, present: np.ndarray, smoothing: float) -> np.ndarray:
        one_hot = np.zeros((len(truth), self.size), np.float32)
        one_hot[np.arange(len(truth)), np.where(present, truth, 0)] = 1
        return one_hot * (1 - smoothing) + smoothing / self.size

    def _weights(self, safe: np.ndarray, totals: np.ndarray, examples: float, power: float) -> np.ndarray:
        # The mean over the training examples is 1, so that no rule changes the effective learning rate.
        weights = safe**-power
        return weights * totals.sum() / (totals * weights).sum()

    def example_weights(
        self, truth: np.ndarray, present: np.ndarray, weights: np.ndarray, of_classes: np.ndarray
    ) -> np.ndarray:
        """Return the weight of each example, multiplied by that of its class."""
        own = super().example_weights(truth, present, weights, of_classes)
        return (own * of_classes[np.where(present, truth, 0)]).astype(np.float32)

    def sums(self, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the sum of weights, 0, and the sum of weights per class."""
        counted = weights > 0
        totals = np.bincount(truth[counted], weights[counted], minlength=self.size)
        return np.array([weights.sum(), 0.0, *totals])

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return the most probable classes."""
        return scores.argmax(axis=1)

    def describe(self, truth: np.ndarray) -> list[Any]:
        """Return names of classes."""
        return [self.class_names[place] for place in truth.tolist()]

    def restore(self, values: Sequence[Any]) -> np.ndarray:
        """Return indices of classes."""
        places = {name: place for place, name in enumerate(self.class_names)} | {None: 0}
        return np.array([places[name] for name in values], np.int32)


@dataclass(frozen=True)
class LabelTarget(Target):
    """A target of any number of labels per example; truths are vectors of 0 and 1."""

    form = LABELS
    activation = "sigmoid"
    prior_name = "prior"
    arrow_type = pa.list_(pa.string())

    def _scores(self, truth: np.ndarray, present: np.ndarray, smoothing: float) -> np.ndarray:
        return np.asarray(truth, np.float32) * (1 - smoothing) + smoothing / 2

    def _weights(self, safe: np.ndarray, totals: np.ndarray, examples: float, power: float) -> np.ndarray:
        # A label that every song has would otherwise have weight 0.
        return (np.maximum(examples - safe, 1.0) / safe) ** power

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return whether each label is predicted."""
        return scores >= LABEL_THRESHOLD

    def describe(self, truth: np.ndarray) -> list[Any]:
        """Return lists of label names."""
        names = np.array(self.class_names, dtype=object)
        return [names[row > 0].tolist() for row in truth]

    def restore(self, values: Sequence[Any]) -> np.ndarray:
        """Return vectors of 0 and 1."""
        return np.array([np.isin(self.class_names, names or []) for names in values], np.float32).reshape(-1, self.size)


@dataclass(frozen=True)
class NumberTarget(Target):
    """A target of `size` numbers per example."""

    form = NUMBERS
    activation = "linear"
    prior_name = "mean"
    arrow_type = pa.list_(pa.float32())

    def _scores(self, truth: np.ndarray, present: np.ndarray, smoothing: float) -> np.ndarray:
        return np.asarray(truth, np.float32)

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return the scores."""
        return scores

    def describe(self, truth: np.ndarray) -> list[Any]:
        """Return lists of numbers."""
        return list(truth.astype(np.float32))

    def restore(self, values: Sequence[Any]) -> np.ndarray:
        """Return vectors."""
        return np.array([row or [0.0] * self.size for row in values], np.float32).reshape(-1, self.size)
