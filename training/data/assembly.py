"""Assemble batches from row groups, with each wide row copied once, to where a tensor can use it.

Rows are shuffled within a window of row groups. A batch copies its rows directly from the groups; joining and shuffling
a window would copy them twice. Batches are aligned so that TensorFlow takes their memory as it is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msd_spark.core.model_inputs import THOUSAND, to_float32
from training.data.plan import Piece, Share

Columns = dict[str, np.ndarray]
"""Examples by column, each of shape ``(n, …)``; see `msd_spark.core.schemas.examples_schema`."""

WIDE = 64
"""Rows of at least this many numbers are copied one by one; narrower rows are faster to gather together."""

REUSED_BYTES, REUSED_BLOCKS = 1 << 16, 32
"""Smallest block of memory that is used again, and the number of blocks of each size that are kept."""

_blocks: dict[int, list[np.ndarray]] = {}

ALIGNMENT = 64
"""Bytes to which TensorFlow's CPU kernels want tensors aligned; it copies others."""


def aligned_empty(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised array whose memory begins at a multiple of `ALIGNMENT`."""
    size = math.prod(shape) * dtype.itemsize
    memory = _memory(size + ALIGNMENT)
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def _memory(size: int) -> np.ndarray:
    """Return uninitialised bytes; reuse large blocks to which no array or tensor refers.

    New memory costs a page fault per 4 KiB, which takes longer than copying a row into it.
    """
    if size < REUSED_BYTES:
        return np.empty(size, np.uint8)
    blocks = _blocks.setdefault(size, [])
    for block in blocks:
        # A free block has three references: in the list, in this loop, and in the call.
        if sys.getrefcount(block) == 3:
            return block
    block = np.empty(size, np.uint8)
    if len(blocks) < REUSED_BLOCKS:
        blocks.append(block)
    return block


def forget_memory() -> None:
    """Release the blocks that no array or tensor refers to."""
    _blocks.clear()


class Window:
    """Row groups, at least one, whose rows can be taken in any order."""

    def __init__(self, groups: Sequence[Mapping[str, np.ndarray]]) -> None:
        lengths = [_n_rows(group) for group in groups]
        self._group = np.repeat(np.arange(len(groups)), lengths)
        self._row = np.concatenate([np.arange(length) for length in lengths])
        self._wide = {name: [group[name] for group in groups] for name in groups[0] if _is_wide(groups[0][name])}
        self._narrow = {
            name: np.concatenate([group[name] for group in groups]) for name in groups[0] if name not in self._wide
        }

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._row)

    def empty(self, size: int) -> Columns:
        """Return uninitialised columns for `size` rows; thousandths become float32 (see `to_float32`)."""
        firsts = {**{name: to_float32(sources[0][:0]) for name, sources in self._wide.items()}, **self._narrow}
        # Texts of another window may be longer.
        return {
            name: np.empty(size, "U32")
            if first.dtype.kind == "U"
            else aligned_empty((size, *first.shape[1:]), first.dtype)
            for name, first in firsts.items()
        }

    def take_into(self, target: Columns, first: int, places: np.ndarray) -> None:
        """Copy the rows at these indices into `target`, in that order, from row `first` on."""
        last = first + len(places)
        for name, values in self._narrow.items():
            target[name][first:last] = values[places]
        groups, rows = self._group[places].tolist(), self._row[places].tolist()
        for name, sources in self._wide.items():
            taken = target[name][first:last]
            for place, group, row in zip(taken, groups, rows, strict=True):
                place[...] = sources[group][row]
            if sources[0].dtype == np.uint16:
                taken /= THOUSAND


def _is_wide(values: np.ndarray) -> bool:
    return values.ndim > 1 and int(np.prod(values.shape[1:])) >= WIDE


@dataclass
class Tally:
    """Count the rows that the plan expects in the files read, and the rows found there."""

    planned: int = 0
    read: int = 0


class StreamRows:
    """A rank's rows of a stream, one step after another.

    Parameters
    ----------
    share : Share
    read : callable
        Yields the row groups of a list of files.
    rows : sequence of int
        Rows of each file.
    window : int
        Row groups to shuffle together; 0 keeps the order.
    seed : sequence of int
        For shuffling; each window is shuffled by its own generator, so that steps can be left out.
    tally : Tally
        Counts the rows.
    first_step : int
        Number of steps to leave out. Windows that have only rows of these steps are not read.
    """

    def __init__(
        self,
        share: Share,
        read: Callable[[list[int]], Iterator[Columns]],
        rows: Sequence[int],
        *,
        window: int,
        seed: Sequence[int],
        tally: Tally,
        first_step: int = 0,
    ) -> None:
        self._share, self._rows, self._tally = share, rows, tally
        self._shuffled, self._seed = window > 0, (*seed, share.stream)
        size = max(window, 1)
        self._windows = [share.pieces[first : first + size] for first in range(0, len(share.pieces), size)]
        self._number, left_out = 0, first_step * share.quota
        while self._number < len(self._windows) and left_out >= (length := _length(self._windows[self._number])):
            self._number, left_out = self._number + 1, left_out - length
        pieces = [piece for pieces in self._windows[self._number :] for piece in pieces]
        self._groups = read([piece.file for piece in pieces])
        tally.planned += sum(rows[piece.file] for piece in pieces)
        self._place, self._order = 0, np.empty(0, np.int64)
        self._window: Window | None = None
        if left_out:
            self._next_window()
            self._place = left_out

    @property
    def window(self) -> Window | None:
        """The window of the next rows; None at the end of the stream."""
        if self._place >= len(self._order):
            self._next_window()
        return self._window

    def fill(self, target: Columns, first: int) -> int:
        """Copy the rank's rows of the next step into `target` from row `first` on; return the row after the last."""
        share, done = self._share, 0
        while done < share.quota and (window := self.window) is not None:
            size = min(share.quota - done, len(self._order) - self._place)
            begin, end = max(share.first - done, 0), min(share.last - done, size)
            if begin < end:
                window.take_into(target, first, self._order[self._place + begin : self._place + end])
                first += end - begin
            done, self._place = done + size, self._place + size
        return first

    def drain(self) -> None:
        """Count rows that the plan does not expect."""
        self._tally.read += sum(map(_n_rows, self._groups))

    def _next_window(self) -> None:
        """Read the next window that has rows."""
        self._window, self._place = None, 0
        while self._window is None and self._number < len(self._windows):
            pieces = self._windows[self._number]
            groups = [group for piece in pieces for group in self._read_piece(piece)]
            n_rows, planned = sum(map(_n_rows, groups)), _length(pieces)
            order = np.arange(planned)
            if self._shuffled:
                order = np.random.default_rng([*self._seed, self._number]).permutation(planned)
            # The tally counts fewer rows than planned if the files lack some.
            self._order = order[order < n_rows]
            self._number += 1
            if n_rows:
                self._window = Window(groups)

    def _read_piece(self, piece: Piece) -> Iterator[Columns]:
        """Yield the rows of a piece from the next row groups, those of one file."""
        read = 0
        while read < self._rows[piece.file] and (group := next(self._groups, None)) is not None:
            begin, end = max(piece.start - read, 0), min(piece.stop - read, _n_rows(group))
            if begin < end:
                yield {name: values[begin:end] for name, values in group.items()}
            read += _n_rows(group)
        self._tally.read += read


def _n_rows(columns: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(columns.values())))


def _length(pieces: Sequence[Piece]) -> int:
    return sum(piece.rows for piece in pieces)
