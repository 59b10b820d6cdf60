"""Fetch the next items of an iterator, or piece of a stream, while one is used."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


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
    """A stream made of large pieces; a thread fetches the next piece while one is read.

    An error of a piece is raised after the bytes of the pieces before it.
    """

    def __init__(self, pieces: Iterable[bytes | memoryview]) -> None:
        self._pieces = ahead(pieces, 1)
        self._current = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes of the current piece, all if negative, none at the end."""
        if size < 0:
            return self.readall()
        if not self._current:
            self._current = memoryview(next(self._pieces, b""))
        part, self._current = self._current[:size], self._current[size:]
        return bytes(part)

    def readinto(self, buffer: Any) -> int:
        """Copy bytes of the current piece to a buffer; return their number, 0 at the end."""
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Wait for the last request and end the thread."""
        self._pieces.close()
        super().close()
