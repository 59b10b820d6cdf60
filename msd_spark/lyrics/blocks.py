"""A musiXmatch file cut into blocks of whole lines on the driver, and a block parsed in a worker.

The text is handed out as it was read, some megabytes at a time; lines become bags where the cores are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from msd_spark.core.errors import UserError
from msd_spark.core.rejections import Rejection
from msd_spark.formats.musixmatch import (
    CARRIAGE_RETURN,
    COMMENT,
    WORDS,
    BagOfWordsError,
    parse_bag,
    parse_words,
)
from msd_spark.io.lines import LINE_FEED
from msd_spark.io.unpacked import open_unpacked
from msd_spark.lyrics.bags import Bags

BLOCK_BYTES = 1 << 22
"""Text of a block, but for its last line: about 8,000 bags, which is a file of ``lyrics/``."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MEMBER_ENDING = ".txt"
_SHOWN = 60


@dataclass(frozen=True)
class TextBlock:
    """Whole lines of a file, one after another.

    Attributes
    ----------
    source : str
        The file.
    official_split : str
        ``train`` or ``test``.
    first_line : int
        Number of the first line in the file, from 1.
    text : bytes
        Each line with its line feed, but for the last line of a file that was cut off.
    carriage_returns : bool
        Whether the file ends its lines in carriage return and line feed, as its line of words does.
    """

    source: str
    official_split: str
    first_line: int
    text: bytes
    carriage_returns: bool = False

    def lines(self) -> Iterator[tuple[int, str, bool]]:
        """Give each line's number, its text without its end, and whether a line feed ended it."""
        *whole, rest = self.text.decode("utf-8", "replace").split(LINE_FEED.decode())
        for number, line in enumerate(whole, self.first_line):
            yield number, line.removesuffix(CARRIAGE_RETURN) if self.carriage_returns else line, True
        if rest:
            yield self.first_line + len(whole), rest, False


@dataclass(frozen=True)
class ParsedBlock:
    """What the lines of a block gave: ``n_lines = len(bags) + len(rejections)``.

    Attributes
    ----------
    source, official_split : str
    n_lines : int
        Lines that should hold a bag; comments, empty lines and the line of words are none.
    bags : Bags
    bag_lines : numpy.ndarray
        Shape ``(n_bags,)``, int64: each bag's line in the file.
    rejections : list of (int, Rejection)
        With their lines.
    """

    source: str
    official_split: str
    n_lines: int
    bags: Bags
    bag_lines: np.ndarray
    rejections: list[tuple[int, Rejection]]


def read_blocks(location: str, official_split: str) -> tuple[list[str], list[TextBlock]]:
    """Return a file's list of words and its text in blocks.

    Parameters
    ----------
    stage : str
        Who asks, for the error.
    location : str
        Path or address of the file, plain or as it was downloaded (zip), or gzipped.
    official_split : str

    Raises
    ------
    UserError
        When the file is not there, has no line of words before its first bag, ends within that
        line, or has another list of words further down.
    """
    words: list[str] | None = None
    blocks: list[TextBlock] = []
    first_line, carriage_returns = 1, False
    for text in _whole_lines(location):
        block = TextBlock(location, official_split, first_line, text, carriage_returns)
        for number, line, ended in _leading_lines(block) if words is None else _word_lines(block):
            if not line.startswith(WORDS):
                raise UserError(
                    f"{location} has no line of words (it begins with {WORDS}) before line {number}, "
                    f"{line[:_SHOWN]!r}; is it a musiXmatch file?",
                )
            if not ended:
                raise UserError(f"{location} ends within its line of words, line {number}; fetch it again")
            found = parse_words(line.removesuffix(CARRIAGE_RETURN))
            if words is not None and found != words:
                raise UserError(f"{location} has another list of words in line {number}; give files of one release")
            words, carriage_returns = found, carriage_returns or line.endswith(CARRIAGE_RETURN)
        blocks.append(TextBlock(location, official_split, first_line, text, carriage_returns))
        first_line += text.count(LINE_FEED)
    if words is None:
        raise UserError(f"{location} has no line of words (it begins with {WORDS}); is it a musiXmatch file?")
    return words, blocks


def _whole_lines(location: str) -> Iterator[bytes]:
    """Give a file's bytes in pieces that end with a line, without the byte order mark that editors add."""
    with open_unpacked(location, _MEMBER_ENDING) as stream:
        held = stream.read(BLOCK_BYTES).removeprefix(_BYTE_ORDER_MARK)
        while held:
            held += stream.readline()
            yield held
            held = stream.read(BLOCK_BYTES)


def _leading_lines(block: TextBlock) -> Iterator[tuple[int, str, bool]]:
    """Give a file's first line that is neither empty nor a comment, and all other lines of words in the block."""
    for number, line, ended in block.lines():
        if line.strip() and not line.startswith(COMMENT):
            yield number, line, ended
            break
    else:
        return
    yield from (entry for entry in _word_lines(block) if entry[0] > number)


def _word_lines(block: TextBlock) -> Iterator[tuple[int, str, bool]]:
    """Give the lines of words of a block, found without looking at every line."""
    mark, at, number = WORDS.encode(), 0, block.first_line
    while True:
        if block.text.startswith(mark, at):
            end = block.text.find(LINE_FEED, at)
            line = block.text[at:] if end < 0 else block.text[at:end]
            yield number, line.decode("utf-8", "replace"), end >= 0
        following = block.text.find(LINE_FEED + mark, at)
        if following < 0:
            return
        number += block.text.count(LINE_FEED, at, following + 1)
        at = following + 1


def parse_block(block: TextBlock, n_words: int) -> ParsedBlock:
    """Return a block's bags, and why other lines have none; a line that was cut off is never guessed."""
    bags, bag_lines, rejections = [], [], []
    for number, line, ended in block.lines():
        if not line or line.startswith((COMMENT, WORDS)):
            continue
        if not ended:
            rejected = Rejection(block.source, "truncated_line", line[-_SHOWN:], f"line {number}")
            rejections.append((number, rejected))
            continue
        try:
            bags.append(parse_bag(line, n_words))
            bag_lines.append(number)
        except BagOfWordsError as error:
            rejections.append((number, Rejection(block.source, error.reason, error.detail, f"line {number}")))
    return ParsedBlock(
        block.source,
        block.official_split,
        len(bags) + len(rejections),
        Bags.of(bags),
        np.array(bag_lines, np.int64),
        rejections,
    )
