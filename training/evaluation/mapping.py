"""Do independent pieces of work, here or spread over ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Mapper(Protocol):
    """Returns the result of each item, in order; every rank must call it, with the same items."""

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return ``[work(item) for item in items]``."""


def map_here(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Do all the work in this process."""
    return [work(item) for item in items]
