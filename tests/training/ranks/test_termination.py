"""SIGTERM in plain code, in a finaliser, and while another error is printed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from training.ranks.termination import raising_at_sigterm


class EndError(Exception):
    pass


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    yield
    signal.signal(signal.SIGTERM, before)
    assert sys.unraisablehook is hook


def send_sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Finalised:
    def __del__(self) -> None:
        send_sigterm()
        time.sleep(0.2)


def test_the_error_is_raised_at_the_signal() -> None:
    def work() -> None:
        with raising_at_sigterm(EndError):
            send_sigterm()
            time.sleep(5)

    with pytest.raises(EndError):
        work()
    send_sigterm()  # ignored: the error is being printed


def test_in_a_finaliser_the_error_is_raised_a_moment_later_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    reached = []

    def work() -> None:
        with raising_at_sigterm(EndError):
            Finalised()
            reached.append("after the finaliser")
            time.sleep(5)

    with pytest.raises(EndError):
        work()
    assert reached == ["after the finaliser"]
    assert capfd.readouterr().err == ""


def test_in_a_finaliser_of_what_another_error_leaves_the_other_error_is_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        kept = Finalised()
        try:
            raise ValueError("another")
        finally:
            del kept

    def work() -> None:
        with raising_at_sigterm(EndError) as ignore_sigterm:
            try:
                fail()
            except ValueError:
                ignore_sigterm()
                time.sleep(0.1)
                raise

    with pytest.raises(ValueError, match="another"):
        work()
    assert capfd.readouterr().err == ""


def test_other_unraisable_errors_are_printed_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise EndError("not of a signal")

    printed: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: printed.append(str(unraisable.exc_value)))
    with raising_at_sigterm(EndError):
        Broken()
    assert printed == ["not of a signal"]


def test_after_the_block_the_former_handler_is_active() -> None:
    received = []
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    with raising_at_sigterm(EndError):
        pass
    send_sigterm()
    assert received == [signal.SIGTERM]
