"""The base class of targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import PRESENCE

if TYPE_CHECKING:
    from training.data.dataset import Dataset

NONE, BALANCED, SQRT = "none", "balanced", "sqrt"
CLASS_WEIGHTS = (NONE, BALANCED, SQRT)
"""Rules for upweighting rare classes: ``balanced`` equalises the totals of the classes, ``sqrt`` halfway."""

POWERS = {BALANCED: 1.0, SQRT: 0.5}

CLASSES, LABELS, NUMBERS = "classes", "labels", "numbers"


@dataclass(frozen=True)
class Target(ABC):
    """A target: what a model learns to predict, and where a dataset has it.

    Attributes
    ----------
    class_names : tuple of str
        Meaning of each output of the model's head.
    name, column : str
        Value of ``--target``, and the column of the examples.
    form : str
        ``classes`` (one per example), ``labels`` (any number per example) or ``numbers``.
    content, remedy, more_classes : str
        What an example has if it has the target, the commands that write the column, and what to do if all examples
        have the same class.
    main_metrics : tuple of str
        The metric that decides between epochs and models, and one that is shown with it.
    headline_metrics : tuple of str
        Metrics with intervals that tables show.
    prior_name : str
        Name of the baseline that predicts the prior for every song.
    ordinal : bool
        Whether the classes are ordered.
    """

    class_names: tuple[str, ...]

    name: ClassVar[str]
    column: ClassVar[str]
    form: ClassVar[str]
    content: ClassVar[str]
    remedy: ClassVar[str]
    more_classes: ClassVar[str] = "write a dataset with more songs (msd-spark dataset)"
    main_metrics: ClassVar[tuple[str, str]]
    headline_metrics: ClassVar[tuple[str, ...]]
    prior_name: ClassVar[str]
    activation: ClassVar[str]
    ordinal: ClassVar[bool] = False
    arrow_type: ClassVar[pa.DataType]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Return the target with the outputs that it has in a dataset, which must have its column."""
        if cls.column not in dataset.schema.names:
            raise UserError(f"dataset {dataset.name} has no column {cls.column}; {cls.remedy}")
        return cls(tuple(cls.outputs(dataset)))

    @classmethod
    @abstractmethod
    def outputs(cls, dataset: Dataset) -> Sequence[str]:
        """Return the names of the outputs in a dataset."""

    def remedy_for_one_class(self, split: str) -> str:
        """Return what to do if all examples of a split have the same class."""
        if split == "train":
            return self.more_classes
        return "choose another split, or write a dataset with more songs or other --shares (msd-spark dataset)"

    @property
    def size(self) -> int:
        """Number of outputs."""
        return len(self.class_names)

    @property
    def presence(self) -> str:
        """Column that is 1 for examples with the target and 0 for others."""
        return PRESENCE[self.column]

    @property
    def is_vector(self) -> bool:
        """Whether a truth is a vector of `size` numbers; else it is the index of a class."""
        return self.form != CLASSES

    def empty_truth(self, n: int) -> np.ndarray:
        """Return an array for the truths of `n` examples."""
        return np.zeros((n, self.size), np.float32)

    def fits(self, truth: np.ndarray, present: np.ndarray) -> bool:
        """Return whether the values of a dataset's column are truths of this target."""
        return truth.ndim == 2 and truth.shape[1] == self.size and bool(np.isfinite(truth).all())

    def soft_truth(self, truth: np.ndarray, present: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
        """Return the scores that a model should give to each example: shape ``(n, size)``, float32.

        Examples without the target have zeros. `smoothing` is the share of the truth that is spread evenly over all
        classes, or over a label's presence and absence: C. Szegedy et al., "Rethinking the Inception architecture for
        computer vision", 2016.
        """
        present = np.asarray(present, bool)
        return (self._scores(truth, present, smoothing) * present[:, None]).astype(np.float32)

    @abstractmethod
    def _scores(self, truth: np.ndarray, present: np.ndarray, smoothing: float) -> np.ndarray: ...

    def class_weights(self, totals: np.ndarray, examples: float, rule: str) -> np.ndarray:
        """Return the weight of each class, or of each label for examples that have it.

        The result has shape ``(size,)``, float32; classes without examples have weight 1.

        Parameters
        ----------
        totals : numpy.ndarray
            Shape ``(size,)``: training examples per class or label.
        examples : float
            Training examples that have the target.
        rule : str
            One of `CLASS_WEIGHTS`.
        """
        totals = np.asarray(totals, np.float64)
        if rule == NONE:
            return np.ones(self.size, np.float32)
        weights = self._weights(np.where(totals > 0, totals, 1.0), totals, examples, POWERS[rule])
        return np.where(totals > 0, weights, 1.0).astype(np.float32)

    def _weights(self, safe: np.ndarray, totals: np.ndarray, examples: float, power: float) -> np.ndarray:
        return np.ones(self.size)

    def example_weights(
        self, truth: np.ndarray, present: np.ndarray, weights: np.ndarray, of_classes: np.ndarray
    ) -> np.ndarray:
        """Return the weight of each example in the loss; 0 without the target.

        `weights` are those in the dataset, 0 for padding, and `of_classes` the result of `class_weights`.
        """
        return (np.asarray(weights, np.float32) * np.asarray(present, bool)).astype(np.float32)

    def sums(self, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the sum of weights, of weighted squared lengths, and of weighted values per output."""
        rows = truth.reshape(len(weights), self.size).astype(np.float64)
        squares = float(((rows**2).sum(axis=1) * weights).sum())
        return np.array([weights.sum(), squares, *(rows * weights[:, None]).sum(axis=0)])

    @abstractmethod
    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return predictions in the form of truths, from scores of shape ``(n, size)``."""

    @abstractmethod
    def describe(self, truth: np.ndarray) -> list[Any]:
        """Return truths as values of `arrow_type`: names, lists of names or lists of numbers."""

    @abstractmethod
    def restore(self, values: Sequence[Any]) -> np.ndarray:
        """Return truths from the values of `describe`; None becomes an arbitrary truth."""
