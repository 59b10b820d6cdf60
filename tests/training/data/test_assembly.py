from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.assembly import ALIGNMENT, WIDE, Columns, StreamRows, Tally, Window, aligned_empty
from training.data.feed import to_tensor
from training.data.plan import RankPlan, Share, plan_epoch

sizes_of_groups = st.lists(st.integers(0, 12), max_size=12)


def numbered(sizes: list[int]) -> Iterator[Columns]:
    """Give row groups whose rows are numbered from 0, in columns that belong together: narrow, text, wide, wide too."""
    start = 0
    for size in sizes:
        numbers = np.arange(start, start + size)
        wide = np.repeat(numbers[:, None], WIDE, axis=1).astype(np.float32)
        yield {
            "track_id": numbers.astype(str),
            "number": np.stack([numbers, -numbers], axis=1),
            "wide": wide,
            "cube": np.stack([wide, -wide], axis=1),
        }
        start += size


def rows_of(columns: Columns) -> list[int]:
    """Return the numbers of rows, after a check that all columns belong to them."""
    rows = columns["track_id"].astype(int)
    assert (columns["number"] == np.stack([rows, -rows], axis=1)).all()
    assert columns["wide"].shape == (len(rows), WIDE)
    assert (columns["wide"] == rows[:, None]).all()
    assert (columns["cube"] == np.stack([columns["wide"], -columns["wide"]], axis=1)).all()
    return rows.tolist()


def steps_of(
    share: Share, sizes: list[int], n_steps: int, *, window: int, first_step: int = 0, groups: int = 1
) -> tuple[list[list[int]], Tally]:
    """Return the rows of each step; every file has a number of row groups."""
    starts, tally = np.cumsum([0, *sizes]), Tally()

    def read(files: list[int]) -> Iterator[Columns]:
        for file in files:
            (whole,) = numbered([int(starts[file + 1])])
            borders = np.linspace(starts[file], starts[file + 1], groups + 1).astype(int).tolist()
            for begin, end in pairwise(borders):
                yield {name: values[begin:end] for name, values in whole.items()}

    stream = StreamRows(share, read, sizes, window=window, seed=(3, 4), tally=tally, first_step=first_step)
    steps = list[list[int]]()
    for _ in range(first_step, n_steps):
        if stream.window is None:
            steps.append([])
            continue
        target = stream.window.empty(share.last - share.first)
        n_rows = stream.fill(target, 0)
        steps.append(rows_of({name: values[:n_rows] for name, values in target.items()}))
    stream.drain()
    return steps, tally


def one_stream(sizes: list[int], batch: int, streams: int = 1, ranks: int = 1) -> list[RankPlan]:
    return plan_epoch(sizes, ranks=ranks, global_batch=batch, streams=streams)


@given(sizes_of_groups, st.integers(1, 15), st.integers(0, 5), st.integers(1, 3))
def test_rows_are_shuffled_within_windows_and_then_cut(sizes: list[int], batch: int, window: int, groups: int) -> None:
    (plan,) = one_stream(sizes, batch)
    (share,) = plan.shares
    found, tally = steps_of(share, sizes, plan.steps, window=window, groups=groups)
    # The same, as it is said: join a window, shuffle it, and cut what comes.
    files = [size for size in sizes if size]
    stream, starts = [], np.cumsum([0, *files])
    for number, first in enumerate(range(0, len(files), max(window, 1))):
        rows = np.arange(starts[first], starts[min(first + max(window, 1), len(files))])
        order = np.random.default_rng([3, 4, 0, number]).permutation(len(rows))
        stream += (rows[order] if window else rows).tolist()
    assert found == [stream[start : start + batch] for start in range(0, len(stream), batch)]
    assert tally == Tally(sum(sizes), sum(sizes))


@given(sizes_of_groups, st.integers(3, 15), st.integers(0, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 9))
def test_ranks_take_the_same_steps_as_one_and_later_steps_do_not_need_earlier_ones(
    sizes: list[int], batch: int, window: int, streams: int, ranks: int, first_step: int
) -> None:
    def steps(ranks: int, first_step: int) -> list[list[int]]:
        taken: list[list[int]] = []
        for plan in one_stream(sizes, batch, streams, ranks):
            n_steps = max(plan.steps, first_step)
            taken = taken or [[] for _ in range(first_step, n_steps)]
            for share in plan.shares:
                found, tally = steps_of(share, sizes, n_steps, window=window, first_step=first_step)
                taken = [[*rows, *more] for rows, more in zip(taken, found, strict=True)]
                assert tally.planned == tally.read <= sum(sizes[piece.file] for piece in share.pieces)
        return taken

    whole = steps(1, 0)
    assert steps(ranks, 0) == whole
    assert steps(ranks, first_step) == whole[first_step:]


def test_windows_that_a_resumed_epoch_does_not_need_are_not_read() -> None:
    sizes = [4] * 6
    (plan,) = one_stream(sizes, 4)
    _, tally = steps_of(plan.shares[0], sizes, plan.steps, window=2, first_step=3)
    assert tally == Tally(16, 16)  # two of six files belong to a window of finished steps


def test_shuffling_is_across_row_groups() -> None:
    (plan,) = one_stream([20, 20], 40)
    ((rows,), _) = steps_of(plan.shares[0], [20, 20], 1, window=2)
    assert sorted(rows) == list(range(40))
    assert min(rows[:20]) < 20 <= max(rows[:20])


@pytest.mark.parametrize(("found", "read"), [([4, 2], 6), ([4, 6], 10), ([8], 8)])
def test_another_number_of_rows_is_counted(found: list[int], read: int) -> None:
    (plan,) = one_stream([4, 4], 2)
    tally = Tally()
    stream = StreamRows(plan.shares[0], lambda _: numbered(found), [4, 4], window=1, seed=(0,), tally=tally)
    while stream.window is not None:
        stream.fill(stream.window.empty(2), 0)
    stream.drain()
    assert tally == Tally(8, read)


def test_batches_are_aligned_and_share_no_memory_with_row_groups() -> None:
    (group,) = numbered([4])
    window = Window([group])
    target = window.empty(3)
    window.take_into(target, 1, np.array([3, 0]))
    assert target["wide"][1:, 0].tolist() == [3, 0]
    assert not any(np.shares_memory(target[name], group[name]) for name in group)
    assert target["wide"].ctypes.data % ALIGNMENT == target["number"].ctypes.data % ALIGNMENT == 0


def test_a_tensor_shares_the_memory_of_an_aligned_array_and_copies_others() -> None:
    aligned = aligned_empty((4, 3), np.dtype(np.float32))
    aligned[...] = 1
    other = np.ones((4, 4), np.float32)[:, 1:]  # not contiguous
    shared, copied = to_tensor(aligned), to_tensor(other)
    aligned[...] = other[...] = 2
    assert np.array_equal(shared.numpy(), np.full((4, 3), 2))
    assert np.array_equal(copied.numpy(), np.ones((4, 3)))


def test_memory_of_large_batches_is_used_again_only_when_nothing_refers_to_it() -> None:
    shape, kind = (64, 1024), np.dtype(np.float32)
    first = aligned_empty(shape, kind)
    place = first.ctypes.data
    part = first[3:4]
    del first
    part[...] = 7
    second = aligned_empty(shape, kind)
    second[...] = 8
    assert (part == 7).all()
    assert second.ctypes.data != place
    del part
    assert aligned_empty(shape, kind).ctypes.data == place
