from __future__ import annotations

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.io.ahead import ReadAhead


@given(st.binary(max_size=200), st.integers(1, 50), st.lists(st.integers(1, 60), min_size=1))
def test_the_bytes_are_those_of_the_stream(content: bytes, piece: int, sizes: list[int]) -> None:
    with ReadAhead(io.BytesIO(content).read, piece) as ahead:
        found = b""
        for size in sizes * (len(content) + 1):
            part = ahead.read(size)
            assert part is not None
            assert len(part) <= size
            found += part
    assert found == content


def test_requests_are_large_and_one_ahead() -> None:
    sizes: list[int] = []
    second = threading.Event()

    def read(size: int) -> bytes:
        sizes.append(size)
        if len(sizes) == 2:
            second.set()
        return bytes(size) if len(sizes) < 3 else b""

    with ReadAhead(read, piece=1000) as ahead:
        assert ahead.read(1) == b"\0"
        assert second.wait(10)  # fetched before it is needed
        assert len(ahead.readall()) == 1999
    assert sizes == [1000] * 3


def test_an_error_comes_after_the_bytes_before_it() -> None:
    pieces = iter([b"abc"])

    def read(_size: int) -> bytes:
        for piece in pieces:
            return piece
        raise OSError("connection reset")

    with ReadAhead(read) as ahead:
        assert ahead.read(9) == b"abc"
        with pytest.raises(OSError, match="connection reset"):
            ahead.read(1)
