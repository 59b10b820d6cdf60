"""Run a generator ahead of its consumer, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import Full, Queue
from typing import TypeVar

Item = TypeVar("Item")

WAIT = 0.1
"""Seconds after which a waiting thread checks whether its consumer has closed the generator."""


@dataclass(frozen=True)
class _End:
    """The last item in the queue."""

    failure: BaseException | None = None


def prefetched(make: Callable[[], Iterator[Item]], ahead: int = 4) -> Iterator[Item]:
    """Yield the items of `make()`, produced by a thread that is at most `ahead` items in front.

    `make` is called in the thread, which ends when the generator is exhausted, fails or is closed. An error of `make`
    or its generator is raised unchanged, after the items before it.
    """
    queue: Queue[Item | _End] = Queue(max(ahead, 1))
    closed = threading.Event()

    def put(item: Item | _End) -> None:
        while not closed.is_set():
            try:
                queue.put(item, timeout=WAIT)
                break
            except Full:
                continue

    def work() -> None:
        failure = None
        try:
            # The thread closes the generator, so that no file remains open when the consumer stops early.
            with closing(make()) as items:  # type: ignore[type-var]
                for item in items:
                    put(item)
                    if closed.is_set():
                        break
        except BaseException as error:
            failure = error
        put(_End(failure))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.failure is not None:
            raise item.failure
    finally:
        closed.set()
        thread.join()
