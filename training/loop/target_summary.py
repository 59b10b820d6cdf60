"""Totals of a target over a split."""

from __future__ import annotations

import numpy as np

from training.data.dataset import Dataset
from training.data.reading import to_numpy
from training.data.targets.target import CLASSES, Target
from training.ranks.ranks import Ranks


def summarise(dataset: Dataset, target: Target, ranks: Ranks, split: str = "train") -> tuple[float, np.ndarray, float]:
    """Return the weight, totals and mean square of a target over a split.

    The weight is that of all examples that have the target. The totals, ``(size,)``, float64, are the weight of each
    class or label, or the weighted sum of each number. The mean square is that of the vectors' length; 0 for classes.
    """
    table = dataset.targets(split, [target.column, target.presence, "weight"])
    weights = table["weight"].to_numpy().astype(np.float64) * (table[target.presence].to_numpy() > 0)
    examples, squares, *totals = np.zeros(target.size + 2)
    if len(weights):
        examples, squares, *totals = target.sums(to_numpy(table[target.column]), weights)
    if not dataset.rows(split):
        ranks.fail(
            f"dataset {dataset.name} has no example in {split}; write it with other --shares or more songs (msd-spark "
            "dataset)"
        )
    if not examples > 0:
        ranks.fail(
            f"none of the {sum(dataset.rows(split)):,} examples in {split} of dataset {dataset.name} has "
            f"{target.content}; {target.remedy}"
        )
    return float(examples), np.array(totals), float(squares / examples)


def require_classes(dataset: Dataset, target: Target, ranks: Ranks, split: str) -> None:
    """Stop all ranks unless a split has examples of at least two classes."""
    _, totals, _ = summarise(dataset, target, ranks, split)
    check_classes(dataset, target, totals, ranks, split)


def check_classes(dataset: Dataset, target: Target, totals: np.ndarray, ranks: Ranks, split: str) -> None:
    """Stop all ranks if all examples of a split have one class.

    `totals` are those of `summarise`.
    """
    if target.form == CLASSES and (totals > 0).sum() == 1:
        name = target.class_names[int(totals.argmax())]
        ranks.fail(
            f"all examples in {split} of dataset {dataset.name} have the same {target.name}, {name}; "
            f"{target.remedy_for_one_class(split)}"
        )
