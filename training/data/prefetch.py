"""A generator run ahead of its consumer, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from queue import Full, Queue
from typing import TypeVar

Item = TypeVar("Item")

WAIT = 0.1
"""Seconds after which a thread whose consumer takes nothing looks whether it is still there."""


@dataclass(frozen=True)
class _End:
    """What the thread puts last."""

    failure: BaseException | None = None


def prefetched(make: Callable[[], Iterator[Item]], ahead: int = 4) -> Iterator[Item]:
    """Give what `make()` gives, in its order, made by a thread that is at most `ahead` items in front.

    The thread ends with the generator: when it is exhausted, when it fails, or when it is closed before its end.

    Parameters
    ----------
    make : callable
        Called in the thread; returns the generator that is run there.
    ahead : int
        Items made and not yet taken, at most; at least 1.

    Raises
    ------
    Exception
        Whatever `make` or its generator raises, as it was, once the items before it are taken.
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
            # Closed here, in the thread that runs it: files are not left open when the consumer stops early.
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
