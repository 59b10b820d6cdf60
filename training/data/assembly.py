"""Batches put together from row groups, each wide row copied once. Pure numpy.

Rows are shuffled within a window of row groups. The groups stay where the reader put them; a
batch takes its rows straight from there, where joining and shuffling a window would copy it twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

Columns = dict[str, np.ndarray]
"""Examples by column of `msd_spark.core.schemas.examples_schema`, each of shape ``(n, …)``."""

WIDE = 64
"""Numbers a row from which on rows are copied one by one: fewer are gathered faster together."""


class Window:
    """Row groups whose rows may be taken in any order.

    Parameters
    ----------
    groups : sequence of mapping
        At least one.
    """

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
        """Return some rows, in the order of their places."""
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
    """Cut a stream of row groups into pieces of `batch` rows; the last one may be shorter.

    Parameters
    ----------
    groups : iterator of dict
    batch : int
    window : int
        Row groups within which rows are shuffled; 0 leaves them in order.
    generator : numpy.random.Generator, optional
        Of the shuffling; needed with a window.
    """
    pending: list[Columns] = []
    n_pending = 0
    for held in _windows(groups, max(window, 1)):
        rows = Window(held)
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


def _windows(groups: Iterator[Columns], window: int) -> Iterator[list[Columns]]:
    held: list[Columns] = []
    for group in groups:
        held.append(group)
        if len(held) == window:
            yield held
            held = []
    if held:
        yield held


def _joined(parts: Sequence[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
