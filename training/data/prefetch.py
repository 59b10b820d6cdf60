"""Run a generator ahead of its consumer, in a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")

_END = object()


def prefetched(make: Callable[[], Iterator[Item]], ahead: int = 4) -> Iterator[Item]:
    """Yield the items of `make()`, produced by a thread that is at most `ahead` items in front.

    `make` is called in the thread, which ends when the generator is exhausted, fails or is closed. An error of `make`
    or its generator is raised unchanged, after the items before it.
    """
    with ThreadPoolExecutor(1, "prefetch") as thread:
        items = thread.submit(make).result()
        pending: deque[Future[Any]] = deque(thread.submit(next, items, _END) for _ in range(ahead + 1))
        try:
            while (item := pending.popleft().result()) is not _END:
                pending.append(thread.submit(next, items, _END))
                yield item
        finally:
            for future in pending:
                future.cancel()
            # The thread closes the generator, so that no file remains open when the consumer stops early.
            thread.submit(items.close).result()  # type: ignore[attr-defined]
