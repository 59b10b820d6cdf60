"""How units of work are shared out to tasks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from msd_spark.spark.session import MOST_UNITS_PER_TASK, share_out


@given(st.integers(0, 300), st.integers(1, 40))
def test_every_unit_is_in_one_task_in_order_and_tasks_only_get_smaller(n_units: int, cores: int) -> None:
    tasks = share_out(range(n_units), cores)
    assert [unit for task in tasks for unit in task] == list(range(n_units))
    sizes = [len(task) for task in tasks]
    assert sizes == sorted(sizes, reverse=True)
    assert all(1 <= size <= MOST_UNITS_PER_TASK for size in sizes)


@given(st.integers(1, 300), st.integers(1, 40))
def test_no_core_waits_for_more_than_a_unit(n_units: int, cores: int) -> None:
    """Each task goes to the core that is free first; units take one second."""
    busy = [0] * cores
    for task in share_out(range(n_units), cores):
        busy[busy.index(min(busy))] += len(task)
    assert max(busy) - min(busy) <= 1


def test_tasks_of_a_small_machine() -> None:
    assert [len(task) for task in share_out(range(26), 2)] == [6, 5, 3, 3, 2, 1, 1, 1, 1, 1, 1, 1]
