"""Which rank reads which files in which order, and for how many steps: a pure function.

Every rank takes the same number of steps, so that no collective waits for ever; every
example is read exactly once an epoch. A rank whose files hold fewer rows fills its last
steps with padding that carries no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RankPlan:
    """What one rank reads in one epoch.

    Attributes
    ----------
    files : tuple of int
        Places in the list of files, in reading order.
    rows : int
        Examples in these files.
    steps : int
        Batches the rank yields, padding included; the same for every rank.
    """

    files: tuple[int, ...]
    rows: int
    steps: int


def plan_epoch(
    rows: Sequence[int], *, ranks: int, batch: int, seed: int = 0, epoch: int | None = None
) -> list[RankPlan]:
    """Part the files of a split among ranks.

    Parameters
    ----------
    rows : sequence of int
        Examples in each file.
    ranks : int
    batch : int
        Examples a rank takes a step.
    seed, epoch : int, optional
        They decide the order of the files, and with it who reads what. Without an epoch the
        files keep their order, as evaluation wants it.

    Returns
    -------
    list of RankPlan
        One a rank.

    Raises
    ------
    ValueError
        When `ranks` or `batch` is below one.

    Notes
    -----
    Files go, in order, to the rank that has the fewest rows so far. With files of one size
    that deals them out in turn, so the files of a step are the same whether they are read
    by one rank or by several.
    """
    if ranks < 1 or batch < 1:
        raise ValueError(f"ranks and batch are at least 1, not {ranks} and {batch}")
    order = np.arange(len(rows)) if epoch is None else np.random.default_rng([seed, epoch]).permutation(len(rows))
    files: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for file in order.tolist():
        rank = load.index(min(load))
        files[rank].append(file)
        load[rank] += rows[file]
    steps = max(-(-load_of_rank // batch) for load_of_rank in load)
    return [RankPlan(tuple(mine), load_of_rank, steps) for mine, load_of_rank in zip(files, load, strict=True)]
