"""Merge ranked lists by reciprocal-rank fusion.

References
----------
.. [1] G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
   Methods", SIGIR 2009.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)

OFFSET = 60
"""The constant k of [1]_."""


def fuse(lists: Sequence[Sequence[Item]], k: int) -> list[tuple[Item, tuple[int | None, ...]]]:
    """Return the k best items of ranked lists, with their ranks, by reciprocal-rank fusion [1]_.

    The score of an item is the sum of ``1 / (OFFSET + rank)`` over the lists that have it. Only ranks count, so scores
    need no common scale. Ties go to the item with the better best rank, then to the one that has it in an earlier list.
    Lists have the best item first, and no item twice. Ranks begin at 1; the rank is None in a list without the item.

    Examples
    --------
    >>> fuse(["ab", "cb"], 2)
    [('b', (2, 2)), ('a', (1, None))]
    """
    ranks: dict[Item, list[int | None]] = {}
    for number, items in enumerate(lists):
        for rank, item in enumerate(items, 1):
            ranks.setdefault(item, [None] * len(lists))[number] = rank

    def order(item: Item) -> tuple[float, int, int]:
        known = [rank for rank in ranks[item] if rank is not None]
        return -sum(1 / (OFFSET + rank) for rank in known), min(known), ranks[item].index(min(known))

    return [(item, tuple(ranks[item])) for item in sorted(ranks, key=order)[:k]]
