"""Plan an epoch: the files of each rank, their order, and the number of steps.

All ranks take the same number of steps, since each step is a collective, and every example is read exactly once per
epoch. A rank with fewer rows fills its last steps with padding of weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RankPlan:
    """The files of one rank in one epoch.

    `files` are indices of the list of files, in reading order, and `rows` the number of their examples. `steps` counts
    batches with padding and is the same for every rank.
    """

    files: tuple[int, ...]
    rows: int
    steps: int


def plan_epoch(
    rows: Sequence[int], *, ranks: int, batch: int | Sequence[int], seed: int = 0, epoch: int | None = None
) -> list[RankPlan]:
    """Split the files of a split among ranks; return one plan per rank.

    Each file in turn goes to the rank with the fewest batches so far. With files of equal size, a step therefore reads
    the same files on one rank and on several.

    Parameters
    ----------
    rows : sequence of int
        Examples in each file.
    batch : int or sequence of int
        Examples per step: one number for all ranks, or one per rank.
    epoch : int, optional
        Determines the order of the files, with the seed; without an epoch the files keep their order.
    """
    batches = [batch] * ranks if isinstance(batch, int) else list(batch)
    if ranks < 1 or len(batches) != ranks or min(batches) < 1:
        raise ValueError(f"ranks is {ranks} and batch is {batch}; allowed: 1 or more")
    order = np.arange(len(rows)) if epoch is None else np.random.default_rng([seed, epoch]).permutation(len(rows))
    files: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for file in order.tolist():
        rank = min(range(ranks), key=lambda rank: load[rank] / batches[rank])
        files[rank].append(file)
        load[rank] += rows[file]
    steps = max(-(-load_of_rank // size) for load_of_rank, size in zip(load, batches, strict=True))
    return [RankPlan(tuple(mine), load_of_rank, steps) for mine, load_of_rank in zip(files, load, strict=True)]
