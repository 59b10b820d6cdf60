"""Plan an epoch: which examples each step takes, and which of them each rank reads.

The order of the examples depends on the seed, the epoch, the number of streams and the global batch, but not on the
number of ranks. The files of a split are shuffled and their rows cut into *streams*. A step takes a fixed number of
rows, the quota, from every stream; quotas differ by at most 1. Each rank takes its places of the global batch and reads
the streams that have them. So a training continues within an epoch on any number of ranks, with the same examples in
every step. If the number of ranks divides that of the streams, and that of the streams the global batch, each rank
reads files of its own, except files that are cut at the border of two streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np


@dataclass(frozen=True)
class Piece:
    """Rows ``start`` to ``stop`` of a file; `file` is its index in the list of files."""

    file: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start


@dataclass(frozen=True)
class Share:
    """A rank's part of a stream.

    Attributes
    ----------
    stream : int
        Number of the stream.
    pieces : tuple of Piece
        All rows of the stream, in reading order.
    quota : int
        Rows of the stream in each step; the last step may have fewer.
    first, last : int
        The rank takes rows ``first`` to ``last`` (exclusive) of each quota.
    """

    stream: int
    pieces: tuple[Piece, ...]
    quota: int
    first: int
    last: int


@dataclass(frozen=True)
class RankPlan:
    """The examples of one rank in one epoch.

    `batch` is the number of the rank's examples per step, `rows` that of the whole epoch. `steps` is the same for every
    rank; only in the last step can a rank have fewer examples than `batch`.
    """

    shares: tuple[Share, ...]
    batch: int
    rows: int
    steps: int


def even_shares(total: int, parts: int) -> list[int]:
    """Return `total` as a sum of `parts` numbers that differ by at most 1.

    Examples
    --------
    >>> even_shares(10, 3)
    [4, 3, 3]
    """
    return [total // parts + (part < total % parts) for part in range(parts)]


def plan_epoch(
    rows: Sequence[int], *, ranks: int, global_batch: int, streams: int = 1, seed: int = 0, epoch: int | None = None
) -> list[RankPlan]:
    """Return the plan of each rank for one epoch.

    Parameters
    ----------
    rows : sequence of int
        Examples in each file.
    global_batch : int
        Examples per step over all ranks, at least one per rank and per stream.
    streams : int
        Number of streams; preferably a multiple of the number of ranks and a divisor of the global batch.
    epoch : int, optional
        Determines the order of the files, with the seed; without an epoch the files keep their order.
    """
    if min(ranks, streams) < 1 or global_batch < max(ranks, streams):
        raise ValueError(
            f"{ranks} ranks and {streams} streams share a batch of {global_batch}; allowed: 1 or more of each, "
            "and at least one example for each rank and stream"
        )
    order = np.arange(len(rows)) if epoch is None else np.random.default_rng([seed, epoch]).permutation(len(rows))
    total, quotas = sum(rows), even_shares(global_batch, streams)
    full_steps, left = divmod(total, global_batch)
    lengths = [quota * full_steps + rest for quota, rest in zip(quotas, even_shares(left, streams), strict=True)]
    pieces = _cut(rows, order.tolist(), lengths)
    stream_borders = list(accumulate(quotas, initial=0))
    plans = []
    for first, last in pairwise(accumulate(even_shares(global_batch, ranks), initial=0)):
        shares = []
        for stream, (begin, end) in enumerate(pairwise(stream_borders)):
            if max(first, begin) < min(last, end):
                quota = quotas[stream]
                shares.append(Share(stream, pieces[stream], quota, max(first - begin, 0), min(last - begin, quota)))
        n_rows = sum(
            full_steps * (share.last - share.first)
            + min(max(lengths[share.stream] - full_steps * share.quota - share.first, 0), share.last - share.first)
            for share in shares
        )
        plans.append(RankPlan(tuple(shares), last - first, n_rows, full_steps + (left > 0)))
    return plans


def _cut(rows: Sequence[int], order: Sequence[int], lengths: Sequence[int]) -> list[tuple[Piece, ...]]:
    """Cut the rows of files in this order into streams of these lengths."""
    streams: list[tuple[Piece, ...]] = []
    files = iter(order)
    file, start = -1, 0
    for length in lengths:
        pieces: list[Piece] = []
        while length:
            if file < 0 or start == rows[file]:
                file, start = next(files), 0
                continue
            stop = min(rows[file], start + length)
            pieces.append(Piece(file, start, stop))
            length, start = length - (stop - start), stop
        streams.append(tuple(pieces))
    return streams


def files_of_ranks(rows: Sequence[int], ranks: int) -> list[list[int]]:
    """Return the files of each rank, for a pass over whole files in their order, as even as possible.

    Each file in turn goes to the rank with the fewest rows so far.

    Examples
    --------
    >>> files_of_ranks([10, 4, 4, 1, 2], 2)
    [[0], [1, 2, 3, 4]]
    """
    files: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for file, n_rows in enumerate(rows):
        rank = min(range(ranks), key=load.__getitem__)
        files[rank].append(file)
        load[rank] += n_rows
    return files
