"""Assemble batches from row groups, with each wide row copied once.

Rows are shuffled within a window of row groups. A batch copies its rows directly from the groups; joining and shuffling
a window would copy them twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

Columns = dict[str, np.ndarray]
"""Examples by column, each of shape ``(n, …)``; see `msd_spark.core.schemas.examples_schema`."""

WIDE = 64
"""Rows of at least this many numbers are copied one by one; narrower rows are faster to gather together."""


class Window:
    """Row groups, at least one, whose rows can be taken in any order."""

    def __init__(self, groups: Sequence[Mapping[str, np.ndarray]]) -> None:
        lengths = [len(next(iter(group.values()))) for group in groups]
        self._group = np.repeat(np.arange(len(groups)), lengths)
        self._row = np.concatenate([np.arange(length) for length in lengths])
        self._names = list(groups[0])
        self._wide = {name: [group[name] for group in groups] for name in groups[0] if _is_wide(groups[0][name])}
        self._narrow = {
            name: np.concatenate([group[name] for group in groups]) for name in groups[0] if name not in self._wide
        }

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._row)

    def take(self, places: np.ndarray) -> Columns:
        """Return the rows at these indices, in that order."""
        return {name: self._taken(name, places) for name in self._names}

    def _taken(self, name: str, places: np.ndarray) -> np.ndarray:
        if name in self._narrow:
            return self._narrow[name][places]
        sources = self._wide[name]
        taken = np.empty((len(places), *sources[0].shape[1:]), sources[0].dtype)
        for target, group, row in zip(taken, self._group[places].tolist(), self._row[places].tolist(), strict=True):
            target[...] = sources[group][row]
        return taken


def _is_wide(values: np.ndarray) -> bool:
    return values.ndim > 1 and int(np.prod(values.shape[1:])) >= WIDE


def assemble(
    groups: Iterator[Columns], batch: int, window: int = 0, generator: np.random.Generator | None = None
) -> Iterator[Columns]:
    """Yield batches of `batch` rows from a stream of row groups; the last one may be shorter.

    The generator shuffles `window` row groups together; a window of 0 keeps the order.
    """
    pending: list[Columns] = []
    n_pending = 0
    while members := list(islice(groups, max(window, 1))):
        rows = Window(members)
        order = np.arange(len(rows)) if generator is None or window < 1 else generator.permutation(len(rows))
        start = 0
        while start < len(rows):
            taken = order[start : start + batch - n_pending]
            pending.append(rows.take(taken))
            start, n_pending = start + len(taken), n_pending + len(taken)
            if n_pending == batch:
                yield _joined(pending)
                pending, n_pending = [], 0
    if pending:
        yield _joined(pending)


def _joined(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
