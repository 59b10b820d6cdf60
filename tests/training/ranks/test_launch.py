"""The launcher's way to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from training.ranks.launch import set_at_signal

ENDING = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Restore the handlers that a test changes."""
    before = [signal.getsignal(number) for number in ENDING]
    yield
    for number, handler in zip(ENDING, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_ends_and_later_ones_cannot_interrupt_that(number: signal.Signals) -> None:
    event = set_at_signal()
    assert not event.is_set()
    signal.raise_signal(number)
    assert event.is_set()
    assert [signal.getsignal(other) for other in ENDING] == [signal.SIG_IGN, signal.SIG_IGN]
