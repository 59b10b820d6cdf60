from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from training.data.plan import Piece, RankPlan, Share, files_of_ranks, plan_epoch

files = st.lists(st.integers(0, 300), max_size=40)
ranks, streams, batches = st.integers(1, 9), st.integers(1, 9), st.integers(9, 64)
seeds, epochs = st.integers(0, 2**32), st.none() | st.integers(0, 99)

Row = tuple[int, int]


def steps_of(plan: RankPlan) -> list[list[Row]]:
    """Return the rows (file, row) of each step of a rank."""
    rows = {
        share.stream: [(p.file, row) for p in share.pieces for row in range(p.start, p.stop)] for share in plan.shares
    }
    return [
        [
            row
            for share in plan.shares
            for row in rows[share.stream][step * share.quota :][: share.quota][share.first : share.last]
        ]
        for step in range(plan.steps)
    ]


def global_steps(plans: list[RankPlan]) -> list[list[Row]]:
    """Return the rows of each step over all ranks."""
    return [[row for rows in step for row in rows] for step in zip(*map(steps_of, plans), strict=True)]


@given(files, ranks, streams, batches, seeds, epochs)
def test_every_example_falls_to_one_step_of_one_rank(
    rows: list[int], n_ranks: int, n_streams: int, batch: int, seed: int, epoch: int | None
) -> None:
    plans = plan_epoch(rows, ranks=n_ranks, global_batch=batch, streams=n_streams, seed=seed, epoch=epoch)
    steps = global_steps(plans)
    seen = Counter(row for step in steps for row in step)
    assert seen == Counter((file, row) for file, n_rows in enumerate(rows) for row in range(n_rows))
    assert [plan.rows for plan in plans] == [sum(map(len, steps_of(plan))) for plan in plans]
    # Every step but the last is full on every rank.
    assert sum(plan.batch for plan in plans) == batch
    for plan in plans:
        assert all(len(step) == plan.batch for step in steps_of(plan)[:-1])
        assert plan.steps == -(-sum(rows) // batch)


@given(files, ranks, ranks, streams, batches, seeds, epochs)
def test_steps_have_the_same_examples_for_any_number_of_ranks(
    rows: list[int], some: int, others: int, n_streams: int, batch: int, seed: int, epoch: int | None
) -> None:
    first, second = (
        plan_epoch(rows, ranks=number, global_batch=batch, streams=n_streams, seed=seed, epoch=epoch)
        for number in (some, others)
    )
    assert global_steps(first) == global_steps(second)


@given(files, st.integers(1, 4), st.integers(1, 3), batches, seeds, epochs)
def test_ranks_that_divide_the_streams_share_only_the_files_at_borders(
    rows: list[int], n_ranks: int, factor: int, batch: int, seed: int, epoch: int | None
) -> None:
    n_streams = n_ranks * factor
    assume(n_streams <= batch and batch % n_streams == 0)
    plans = plan_epoch(rows, ranks=n_ranks, global_batch=batch, streams=n_streams, seed=seed, epoch=epoch)
    readers = Counter(share.stream for plan in plans for share in plan.shares)
    assert set(readers.values()) <= {1}
    pieces = [piece for plan in plans for share in plan.shares for piece in share.pieces]
    assert len(pieces) <= len([n_rows for n_rows in rows if n_rows]) + n_streams - 1


@given(st.integers(12, 60), streams, seeds, st.integers(0, 99))
def test_order_differs_between_epochs_and_seeds(n_files: int, n_streams: int, seed: int, epoch: int) -> None:
    def order(seed: int, epoch: int) -> list[list[Row]]:
        return global_steps(
            plan_epoch([5] * n_files, ranks=1, global_batch=20, streams=n_streams, seed=seed, epoch=epoch)
        )

    assert order(seed, epoch) == order(seed, epoch)
    assert order(seed, epoch) != order(seed, epoch + 1)
    assert order(seed, epoch) != order(seed + 1, epoch)


def test_a_plan_by_hand() -> None:
    # 11 rows, steps of 4: quotas 2 and 2, two full steps, and 3 rows left: 2 for stream 0 and 1 for stream 1.
    first = (Piece(0, 0, 5), Piece(1, 0, 1))
    second = (Piece(1, 1, 3), Piece(2, 0, 3))
    assert plan_epoch([5, 3, 3], ranks=2, global_batch=4, streams=2) == [
        RankPlan((Share(0, first, 2, 0, 2),), 2, 6, 3),
        RankPlan((Share(1, second, 2, 0, 2),), 2, 5, 3),
    ]
    # Three ranks take 2, 1 and 1 places of the same steps.
    assert plan_epoch([5, 3, 3], ranks=3, global_batch=4, streams=2) == [
        RankPlan((Share(0, first, 2, 0, 2),), 2, 6, 3),
        RankPlan((Share(1, second, 2, 0, 1),), 1, 3, 3),
        RankPlan((Share(1, second, 2, 1, 2),), 1, 2, 3),
    ]


@pytest.mark.parametrize("rows", [[], [0, 0]])
def test_no_examples_take_no_steps(rows: list[int]) -> None:
    plans = plan_epoch(rows, ranks=3, global_batch=4, epoch=1)
    assert {(plan.rows, plan.steps) for plan in plans} == {(0, 0)}


@pytest.mark.parametrize(("n_ranks", "n_streams", "batch"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (4, 1, 3), (1, 4, 3)])
def test_a_batch_too_small_for_ranks_or_streams_is_refused(n_ranks: int, n_streams: int, batch: int) -> None:
    with pytest.raises(ValueError, match=f"{n_ranks} ranks and {n_streams} streams share a batch of {batch}"):
        plan_epoch([3], ranks=n_ranks, streams=n_streams, global_batch=batch)


@given(files, ranks)
def test_whole_files_are_shared_evenly_and_keep_their_order(rows: list[int], n_ranks: int) -> None:
    shared = files_of_ranks(rows, n_ranks)
    assert sorted(file for files in shared for file in files) == list(range(len(rows)))
    assert all(files == sorted(files) for files in shared)
    loads = [int(np.sum([rows[file] for file in files])) for files in shared]
    assert max(loads) - min(loads) <= max(rows, default=0)
