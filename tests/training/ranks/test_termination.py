"""Being told to end: in plain code, in a finaliser, and while another error is told."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from training.ranks.termination import raising_when_told_to_end


class EndError(Exception):
    pass


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    yield
    signal.signal(signal.SIGTERM, before)
    assert sys.unraisablehook is hook


def tell_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Finalised:
    def __del__(self) -> None:
        tell_to_end()
        time.sleep(0.2)


def test_the_error_is_raised_where_the_signal_is_heard() -> None:
    def work() -> None:
        with raising_when_told_to_end(EndError):
            tell_to_end()
            time.sleep(5)

    with pytest.raises(EndError):
        work()
    tell_to_end()  # not heard: the error is being told


def test_in_a_finaliser_it_is_raised_a_moment_later_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    reached = []

    def work() -> None:
        with raising_when_told_to_end(EndError):
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
        with raising_when_told_to_end(EndError) as hear_no_more:
            try:
                fail()
            except ValueError:
                hear_no_more()
                time.sleep(0.1)
                raise

    with pytest.raises(ValueError, match="another"):
        work()
    assert capfd.readouterr().err == ""


def test_what_others_cannot_raise_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise EndError("not of a signal")

    told: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(str(unraisable.exc_value)))
    with raising_when_told_to_end(EndError):
        Broken()
    assert told == ["not of a signal"]


def test_after_a_block_that_ends_well_the_signal_is_heard_as_before() -> None:
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with raising_when_told_to_end(EndError):
        pass
    tell_to_end()
    assert heard == [signal.SIGTERM]
