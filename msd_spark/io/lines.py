"""Read text files line by line, local or remote, plain or compressed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msd_spark.io.unpacked import open_unpacked

LINE_FEED = b"\n"

LONGEST_LINE = 4 << 20
"""Longer lines are truncated to about this many bytes."""


class Line(NamedTuple):
    """A line of a text file, without its line feed.

    Attributes
    ----------
    number : int
        From 1.
    ended : bool
        False for a last line without a line feed.
    is_latin1 : bool
        Whether the line is not valid UTF-8, and was decoded as Latin-1.
    """

    number: int
    text: str
    ended: bool
    is_latin1: bool


def read_lines(location: str) -> Iterator[Line]:
    """Yield the lines of a text file, which may be compressed.

    Only a line feed ends a line, and a line longer than `LONGEST_LINE` is truncated. A byte order mark is skipped. A
    line that is not UTF-8 is decoded as Latin-1.
    """
    with open_unpacked(location) as stream:
        number, rest = 0, b""
        while chunk := stream.read(1 << 20):
            *whole, rest = (rest[:LONGEST_LINE] + chunk).split(LINE_FEED)
            for line in whole:
                number += 1
                yield decoded(number, line, ended=True)
        if rest:
            yield decoded(number + 1, rest, ended=False)


def decoded(number: int, line: bytes, *, ended: bool) -> Line:
    """Decode a line, as Latin-1 if it is not UTF-8."""
    try:
        return Line(number, line.decode(), ended, False)
    except UnicodeDecodeError:
        return Line(number, line.decode("latin-1"), ended, True)
