"""Signals that end the launcher."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator

import pytest
from horovod.runner import gloo_run, launch

from training.ranks.launch import main

ENDING = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore the handlers that a test changes."""
    before = [signal.getsignal(number) for number in ENDING]
    yield
    for number, handler in zip(ENDING, before, strict=True):
        signal.signal(number, handler)


def test_an_interrupt_ends_the_launcher_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        gloo_run.register_shutdown_event()
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("one or more processes exited with non-zero status")

    monkeypatch.setattr(sys, "argv", ["launch", "-np", "1", "true"])
    for name in ("mpi_built", "gloo_built", "run_commandline"):
        monkeypatch.setattr(launch, name, run)
    monkeypatch.setattr(gloo_run, "register_shutdown_event", gloo_run.register_shutdown_event)
    with pytest.raises(SystemExit, match=r"^130$"):
        main()
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(("code", "status"), [(2, 2), (1, 1), (-9, 1), (137, 1)])
def test_the_launcher_ends_with_status_2_only_if_the_first_rank_did(
    code: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run() -> None:
        raise RuntimeError(f"one or more processes exited with non-zero status\nProcess name: 1\nExit code: {code}\n")

    monkeypatch.setattr(sys, "argv", ["launch", "-np", "1", "true"])
    for name in ("mpi_built", "gloo_built", "run_commandline"):
        monkeypatch.setattr(launch, name, run)
    monkeypatch.setattr(gloo_run, "register_shutdown_event", gloo_run.register_shutdown_event)
    with pytest.raises(SystemExit, match=rf"^{status}$"):
        main()


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_sets_the_event_and_later_ones_do_not(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[threading.Event] = []
    for name in ("mpi_built", "gloo_built"):
        monkeypatch.setattr(launch, name, getattr(launch, name))  # restored after the test
    monkeypatch.setattr(gloo_run, "register_shutdown_event", gloo_run.register_shutdown_event)
    monkeypatch.setattr(sys, "argv", ["launch", "-np", "1", "true"])
    monkeypatch.setattr(launch, "run_commandline", lambda: events.append(gloo_run.register_shutdown_event()))
    main()
    event = events[0]
    assert not event.is_set()
    signal.raise_signal(number)
    assert event.is_set()
    event.clear()
    for later in ENDING:
        signal.raise_signal(later)
    assert not event.is_set()
