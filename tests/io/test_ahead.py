from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.io.ahead import ReadAhead


@given(st.binary(max_size=200), st.integers(1, 50), st.lists(st.integers(1, 60), min_size=1))
def test_the_bytes_are_those_of_the_stream(content: bytes, piece: int, sizes: list[int]) -> None:
    with ReadAhead(iter(partial(io.BytesIO(content).read, piece), b"")) as ahead:
        found = b""
        for size in sizes * (len(content) + 1):
            part = ahead.read(size)
            assert part is not None
            assert len(part) <= size
            found += part
    assert found == content


def test_one_piece_is_fetched_ahead() -> None:
    second, fetched = threading.Event(), 0

    def pieces() -> Iterator[bytes]:
        nonlocal fetched
        for fetched in range(1, 4):
            if fetched == 2:
                second.set()
            yield bytes(1000)

    with ReadAhead(pieces()) as ahead:
        assert ahead.read(1) == b"\0"
        assert second.wait(10)  # fetched before it is needed
        assert fetched == 2
        assert len(ahead.readall()) == 2999


def test_an_error_comes_after_the_bytes_before_it() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"abc"
        raise OSError("connection reset")

    with ReadAhead(pieces()) as ahead:
        assert ahead.read(9) == b"abc"
        with pytest.raises(OSError, match="connection reset"):
            ahead.read(1)
