from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.prefetch import prefetched


def threads() -> int:
    return sum(thread.name.startswith("prefetch") for thread in threading.enumerate())


@given(st.lists(st.integers()), st.integers(1, 5))
def test_items_come_as_they_are_made(items: list[int], ahead: int) -> None:
    assert list(prefetched(lambda: (item for item in items), ahead)) == items
    assert threads() == 0


def test_no_more_is_made_ahead_than_asked() -> None:
    made: list[int] = []
    third = threading.Event()

    def make() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    items = prefetched(make, ahead=2)
    assert next(items) == 0
    # Number 0 is taken, 1 and 2 wait, 3 is made and finds no place; 4 is not begun.
    assert third.wait(10)
    assert made == [0, 1, 2, 3]
    items.close()  # type: ignore[attr-defined]


def test_a_failure_comes_as_it_was_after_what_was_made_before_it() -> None:
    def make() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    items = prefetched(make)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert threads() == 0


def test_a_consumer_that_stops_early_stops_the_thread_and_closes_what_it_read() -> None:
    closed = threading.Event()

    def make() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    items = prefetched(make)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert threads() == 0
