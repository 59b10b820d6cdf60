from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.plan import RankPlan, plan_epoch

files = st.lists(st.integers(0, 300), max_size=40)
ranks, batches, seeds, epochs = (
    st.integers(1, 9),
    st.integers(1, 64),
    st.integers(0, 2**32),
    st.none() | st.integers(0, 99),
)


@given(files, ranks, batches, seeds, epochs)
def test_every_file_is_read_once_and_every_rank_takes_the_same_steps(
    rows: list[int], n_ranks: int, batch: int, seed: int, epoch: int | None
) -> None:
    plan = plan_epoch(rows, ranks=n_ranks, batch=batch, seed=seed, epoch=epoch)
    assert len(plan) == n_ranks
    assert sorted(file for rank in plan for file in rank.files) == list(range(len(rows)))
    assert [rank.rows for rank in plan] == [sum(rows[file] for file in rank.files) for rank in plan]
    assert sum(rank.rows for rank in plan) == sum(rows)
    (steps,) = {rank.steps for rank in plan}
    assert all(rank.rows <= steps * batch for rank in plan)
    # No step is idle on every rank: one fewer would not do for the rank with the most rows.
    assert steps == 0 or max(rank.rows for rank in plan) > (steps - 1) * batch
    # No rank has more than one file more than another one has rows.
    assert max(rank.rows for rank in plan) - min(rank.rows for rank in plan) <= max(rows, default=0)


@given(files, ranks, batches, seeds, epochs)
def test_the_same_seed_gives_the_same_plan(
    rows: list[int], n_ranks: int, batch: int, seed: int, epoch: int | None
) -> None:
    first, second = (plan_epoch(rows, ranks=n_ranks, batch=batch, seed=seed, epoch=epoch) for _ in range(2))
    assert first == second


@given(st.integers(12, 60), ranks, seeds, st.integers(0, 99))
def test_order_differs_between_epochs_and_seeds(n_files: int, n_ranks: int, seed: int, epoch: int) -> None:
    def order(seed: int, epoch: int) -> list[tuple[int, ...]]:
        return [rank.files for rank in plan_epoch([5] * n_files, ranks=n_ranks, batch=5, seed=seed, epoch=epoch)]

    assert order(seed, epoch) != order(seed, epoch + 1)
    assert order(seed, epoch) != order(seed + 1, epoch)


@given(st.integers(0, 60), st.integers(1, 50), ranks, seeds, epochs)
def test_one_rank_and_several_read_the_same_files_a_step(
    n_files: int, size: int, n_ranks: int, seed: int, epoch: int | None
) -> None:
    rows = [size] * n_files
    several = plan_epoch(rows, ranks=n_ranks, batch=size, seed=seed, epoch=epoch)
    (one,) = plan_epoch(rows, ranks=1, batch=size * n_ranks, seed=seed, epoch=epoch)
    assert one.steps == several[0].steps
    for step in range(one.steps):
        together = [rank.files[step] for rank in several if step < len(rank.files)]
        assert together == list(one.files[step * n_ranks : (step + 1) * n_ranks])


@given(files, batches, seeds)
def test_without_an_epoch_files_keep_their_order_whatever_the_seed(rows: list[int], batch: int, seed: int) -> None:
    (plan,) = plan_epoch(rows, ranks=1, batch=batch, seed=seed)
    assert plan.files == tuple(range(len(rows)))


def test_a_plan_by_hand() -> None:
    # Rank 0 takes file 0 (10 rows), rank 1 files 1 (4) and 2 (4: 8 < 10) and 3 (1: 8 < 10), then 9 < 10 once more.
    assert plan_epoch([10, 4, 4, 1, 2], ranks=2, batch=4) == [
        RankPlan((0,), 10, 3),
        RankPlan((1, 2, 3, 4), 11, 3),
    ]


@pytest.mark.parametrize("rows", [[], [0, 0]])
def test_no_examples_take_no_steps(rows: list[int]) -> None:
    assert {(rank.rows, rank.steps) for rank in plan_epoch(rows, ranks=3, batch=4, epoch=1)} == {(0, 0)}


def test_more_ranks_than_files_pad_and_do_not_wait() -> None:
    plan = plan_epoch([7], ranks=3, batch=2)
    assert [(rank.files, rank.steps) for rank in plan] == [((0,), 4), ((), 4), ((), 4)]


@given(files, ranks, batches, seeds, st.integers(0, 99))
def test_every_example_falls_to_one_step_of_one_rank_and_the_rest_is_padding(
    rows: list[int], n_ranks: int, batch: int, seed: int, epoch: int
) -> None:
    plan = plan_epoch(rows, ranks=n_ranks, batch=batch, seed=seed, epoch=epoch)
    starts = np.cumsum([0, *rows])
    seen: list[int] = []
    places = 0
    for rank in plan:
        mine = [row for file in rank.files for row in range(starts[file], starts[file + 1])]
        steps = [mine[step * batch : (step + 1) * batch] for step in range(rank.steps)]
        seen += [row for step in steps for row in step]
        places += rank.steps * batch
    assert sorted(seen) == list(range(sum(rows)))
    # What is left is padding: less than a batch and the largest file on each rank.
    assert places - len(seen) < n_ranks * (batch + max(rows, default=0)) or not rows


@given(st.integers(30, 60), st.integers(2, 9), seeds, st.integers(0, 99))
def test_who_reads_what_differs_between_epochs(n_files: int, n_ranks: int, seed: int, epoch: int) -> None:
    def readers(epoch: int) -> list[frozenset[int]]:
        return [
            frozenset(rank.files) for rank in plan_epoch([5] * n_files, ranks=n_ranks, batch=5, seed=seed, epoch=epoch)
        ]

    assert readers(epoch) != readers(epoch + 1)


@pytest.mark.parametrize(("n_ranks", "batch"), [(0, 1), (1, 0), (-1, 4)])
def test_no_ranks_and_no_batch_are_refused(n_ranks: int, batch: int) -> None:
    with pytest.raises(ValueError, match=f"ranks is {n_ranks} and batch is {batch}; allowed: 1 or more"):
        plan_epoch([3], ranks=n_ranks, batch=batch)
