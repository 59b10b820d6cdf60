"""Merge ranked lists by reciprocal-rank fusion.

References
----------
.. [1] G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
   Methods", SIGIR 2009.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

OFFSET = 60
"""The constant k of [1]_."""


@dataclass(frozen=True)
class Fused(Generic[Item]):
    """An item of the fused list."""

    item: Item
    ranks: tuple[int | None, ...]
    """Rank in each list, from 1; None for a list without the item."""

    def score(self, offset: float = OFFSET) -> float:
        """Return the sum of ``1 / (offset + rank)`` over the lists with the item."""
        return sum(1 / (offset + rank) for rank in self.ranks if rank is not None)


def fuse(lists: Sequence[Sequence[Item]], k: int, offset: float = OFFSET) -> list[Fused[Item]]:
    """Return the k best of several ranked lists by reciprocal-rank fusion [1]_.

    Only ranks count, so scores need no common scale. A list without an item adds nothing to its score. Ties go to the
    item with the better best rank, then to the one that has it in an earlier list. Lists have the best item first, and
    no item twice. An offset is above -1; a greater one reduces the weight of the first places.

    Examples
    --------
    >>> [(one.item, one.ranks) for one in fuse(["ab", "cb"], 2)]
    [('b', (2, 2)), ('a', (1, None))]
    """
    ranks: dict[Item, list[int | None]] = {}
    for number, items in enumerate(lists):
        for rank, item in enumerate(items, 1):
            ranks.setdefault(item, [None] * len(lists))[number] = rank
    fused = [Fused(item, tuple(places)) for item, places in ranks.items()]

    def order(one: Fused[Item]) -> tuple[float, int, int]:
        best = min(rank for rank in one.ranks if rank is not None)
        return -one.score(offset), best, one.ranks.index(best)

    return sorted(fused, key=order)[:k]
