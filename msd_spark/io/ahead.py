"""Fetch the next items of an iterator, or the next piece of a stream, while the current one is used."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

PIECE = 8 << 20
"""Bytes per request: at 20 ms a request, a smaller piece would wait longer than it transfers."""


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Yield items; a thread fetches up to `depth` of them in advance."""
    iterator, end, pool = iter(items), object(), ThreadPoolExecutor(1, thread_name_prefix="read ahead")
    try:
        following = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := following.popleft().result()) is not end:
            following.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # it is not the end
    finally:
        pool.shutdown(cancel_futures=True)


class ReadAhead(io.RawIOBase):
    """The bytes of a stream, from its `read(size)`, which a thread calls one piece ahead of its use.

    An error of `read` is raised where its bytes would begin.
    """

    def __init__(self, read: Callable[[int], bytes], piece: int = PIECE) -> None:
        self._pieces = ahead(iter(partial(read, piece), b""), 1)
        self._current = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the bytes at hand; return their number, 0 at the end."""
        if not self._current:
            self._current = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._current))
        buffer[:size], self._current = self._current[:size], self._current[size:]
        return size

    def close(self) -> None:
        """Wait for the last request and end the thread."""
        self._pieces.close()
        super().close()
