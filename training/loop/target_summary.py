"""Totals of a target over the train split."""

from __future__ import annotations

import numpy as np

from msd_spark.core.errors import UserError
from training.data.dataset import Dataset
from training.data.targets.target import Target
from training.ranks.ranks import Ranks


def summarise(dataset: Dataset, target: Target, ranks: Ranks) -> tuple[float, np.ndarray, float]:
    """Return the weight, totals and mean square of a target over the train split.

    The weight is that of all examples that have the target. The totals, ``(size,)``, float64, are the weight of each
    class or label, or the weighted sum of each number. The mean square is that of the vectors' length; 0 for classes.
    Each rank reads a share of the files.
    """
    sums = np.zeros(target.size + 2)
    for number in range(ranks.rank, len(dataset.rows("train")), ranks.size):
        table = dataset.read("train", number, [target.column, target.presence, "weight"])
        weights = table["weight"].to_numpy().astype(np.float64) * (table[target.presence].to_numpy() > 0)
        sums += target.sums(table[target.column].to_numpy(), weights)
    examples, squares, *totals = (ranks.total(value) for value in sums)
    if not examples > 0:
        raise UserError(
            f"none of the {sum(dataset.rows('train')):,} training examples of dataset {dataset.name} has "
            f"{target.content}; {target.remedy}"
        )
    return examples, np.array(totals), squares / examples
