"""Dividing work among tasks, progress and errors of workers."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.spark.session import MOST_UNITS_PER_TASK, progress, share_out, worker_errors


@given(st.integers(0, 300), st.integers(1, 40), st.integers(1, 3))
def test_every_unit_is_in_one_task_in_order_and_tasks_only_get_smaller(n_units: int, cores: int, least: int) -> None:
    tasks = share_out(range(n_units), cores, least)
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
    assert [len(task) for task in share_out(range(26), 2, 3)] == [6, 5, 3, 3, 3, 3, 3]


def test_small_tasks_keep_every_core_at_work() -> None:
    assert [len(task) for task in share_out(range(10), 8, 3)] == [1] * 10


def idle_session() -> Any:
    session = MagicMock()
    session.sparkContext.statusTracker().getActiveStageIds.return_value = []
    return session


def test_progress_that_has_counted_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(idle_session(), "ingest: listing"):
        pass
    with progress(idle_session(), "ingest: songs", lambda: 0, 5):
        pass
    assert capsys.readouterr() == ("", "")


def test_progress_in_a_log_is_one_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(idle_session(), "ingest: songs", lambda: 5, 5):
        pass
    line = capsys.readouterr().err
    assert line.startswith("ingest: songs: 100%")
    assert "5/5" in line
    assert line.count("\n") == 1
    assert "\r" not in line


def test_progress_on_a_terminal_ends_with_a_line_feed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress(idle_session(), "ingest: songs", lambda: 5, 5):
        pass
    output = capsys.readouterr().err
    assert output.startswith("\ringest: songs: 100%")
    assert output.endswith("\n")
    assert output.count("\n") == 1


def test_an_error_of_a_worker_is_one_line_with_the_remedy() -> None:
    trace = "Job aborted.\n  File 'x.py', line 1\nmsd_spark.core.errors.UserError: no file a.txt\n\tat org.apache"
    with (
        pytest.raises(UserError, match=r"^reading a.txt failed: no file a.txt; fetch it again$"),
        worker_errors("reading a.txt", "fetch it again"),
    ):
        raise RuntimeError(trace)
    with pytest.raises(UserError, match=r"^as it is$"), worker_errors("reading"):
        raise UserError("as it is")
