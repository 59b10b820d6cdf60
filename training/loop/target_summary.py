"""What the train split holds of a target: read once, in light columns, before training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from msd_spark.core.errors import UserError
from training.data.dataset import Dataset
from training.data.targets import FACTORS, POPULARITY, TAGS, Target
from training.ranks.ranks import Ranks


@dataclass(frozen=True)
class TargetSummary:
    """A target over the train split, each example counted by its weight.

    Attributes
    ----------
    examples : float
        Weight of the examples that have the target.
    totals : numpy.ndarray
        Shape ``(size,)``, float64: the weight of each class, of each tag; sums of the factors.
    mean_square : float
        Mean over the examples of the squared length of their factors; 0 for other targets.
    """

    examples: float
    totals: np.ndarray
    mean_square: float


def summarise(dataset: Dataset, target: Target, ranks: Ranks) -> TargetSummary:
    """Read the target of all training examples, a share of the files on each rank.

    Raises
    ------
    UserError
        When no training example has the target.
    """
    warehouse = dataset.warehouse
    found = np.zeros(target.size + 2)
    for file in dataset.metadata["files"]["train"][ranks.rank :: ranks.size]:
        table = pq.read_table(
            warehouse.path("dataset", dataset.name, "train", file["name"]),
            columns=[target.column, target.presence, "weight"],
            filesystem=warehouse.filesystem,
        )
        weights = table["weight"].to_numpy().astype(np.float64) * (table[target.presence].to_numpy() > 0)
        found += _sums(target, table[target.column].to_numpy(), weights)
    found = np.array([ranks.total(value) for value in found])
    if not found[0] > 0:
        what, cure = {
            TAGS: ("tags", "jobs/labels.py with a source of tags, then jobs/dataset.py --tags 50"),
            POPULARITY: ("listens", "jobs/plays.py, then jobs/dataset.py"),
            FACTORS: ("factors", "jobs/plays.py and jobs/factors.py, then jobs/dataset.py --factors"),
        }.get(target.name, ("a genre", "jobs/labels.py, then jobs/dataset.py"))
        raise UserError(
            f"dataset {dataset.name}: none of {sum(dataset.rows('train'))} training examples has {what}; {cure}"
        )
    return TargetSummary(float(found[0]), found[2:], float(found[1] / found[0]))


def _sums(target: Target, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of weights, of weighted squared lengths, and of weighted values by output."""
    if target.is_vector:
        rows = np.stack(values.tolist()).astype(np.float64) if len(values) else np.zeros((0, target.size))
        squares = float(((rows**2).sum(axis=1) * weights).sum()) if target.name == FACTORS else 0.0
        return np.array([weights.sum(), squares, *(rows * weights[:, None]).sum(axis=0)])
    there = weights > 0
    totals = np.bincount(values[there], weights[there], minlength=target.size)
    return np.array([weights.sum(), 0.0, *totals])
