"""Split musiXmatch files into blocks of lines, parse them, and find repeated tracks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from msd_spark.io.lines import LINE_FEED, Line, decoded
from msd_spark.io.unpacked import open_unpacked
from msd_spark.lyrics.bags import Bags

BLOCK_BYTES = 1 << 22
"""Size of a block without its last line: about 8,000 bags, one file of ``lyrics/``."""

_MEMBER_ENDING = ".txt"
_WORD_LINE = re.compile(LINE_FEED + WORDS.encode() + rb"[^\n]*(\n?)")
_SHOWN = 60


@dataclass(frozen=True)
class TextBlock:
    """Consecutive complete lines of a file.

    `official_split` is ``train`` or ``test``, `first_line` a line number from 1. `text` has the line feeds; only the
    last line of a truncated file has none. With `carriage_returns`, lines end with a carriage return and a line feed,
    as the line of words does. `latin1_words` is the number of words in the line of words that are decoded as Latin-1.
    """

    source: str
    official_split: str
    first_line: int
    text: bytes
    carriage_returns: bool = False
    latin1_words: int = 0

    def lines(self) -> Iterator[tuple[int, str, bool]]:
        """Yield each line's number, its text without its end, and whether a line feed ended it."""
        *complete, rest = self.text.split(LINE_FEED)
        for number, text in enumerate(complete, self.first_line):
            line = decoded(number, text, ended=True).text
            yield number, line.removesuffix(CARRIAGE_RETURN) if self.carriage_returns else line, True
        if rest:
            yield decoded(self.first_line + len(complete), rest, ended=False)[:3]


@dataclass(frozen=True)
class ParsedBlock:
    """Bags and rejected lines of a block, with their line numbers."""

    source: str
    official_split: str
    bags: Bags
    bag_lines: np.ndarray
    rejections: list[tuple[int, Rejection]]


def read_blocks(location: str, official_split: str) -> tuple[list[str], list[TextBlock]]:
    """Return the list of words and the text, in blocks, of a plain, gzipped or zipped file.

    It is an error if there is no line of words before the first bag, or if it is truncated or repeated with other
    words.
    """
    words: list[str] | None = None
    blocks: list[TextBlock] = []
    first_line, carriage_returns, latin1_words = 1, False, 0
    for text in _complete_lines(location):
        block = TextBlock(location, official_split, first_line, text, carriage_returns)
        if words is None:
            for number, line, _ in block.lines():
                if line.startswith(WORDS):
                    break
                if line.strip() and not line.startswith(COMMENT):
                    raise UserError(
                        f"{location} has no line of words, starting with {WORDS}, before line {number}: "
                        f"{line[:_SHOWN]!r}; is it a musiXmatch file?"
                    )
        for number, line, ended, is_latin1 in _word_lines(block):
            if not ended:
                raise UserError(f"{location} is truncated in its line of words, line {number}; download it again")
            listed = parse_words(line.removesuffix(CARRIAGE_RETURN))
            if words is not None and listed != words:
                raise UserError(f"{location} lists different words in line {number}; give files of one release")
            words, carriage_returns = listed, carriage_returns or line.endswith(CARRIAGE_RETURN)
            latin1_words = sum(not word.isascii() for word in words) if is_latin1 else latin1_words
        blocks.append(TextBlock(location, official_split, first_line, text, carriage_returns, latin1_words))
        first_line += text.count(LINE_FEED)
    if words is None:
        raise UserError(f"{location} has no line of words, starting with {WORDS}; is it a musiXmatch file?")
    return words, blocks


def _complete_lines(location: str) -> Iterator[bytes]:
    """Yield a file's bytes in pieces of complete lines, without a byte order mark."""
    with open_unpacked(location, _MEMBER_ENDING) as stream:
        piece = stream.read(BLOCK_BYTES)
        while piece:
            yield piece + stream.readline()
            piece = stream.read(BLOCK_BYTES)


def _word_lines(block: TextBlock) -> Iterator[Line]:
    """Yield the lines of words of a block, without splitting it into lines."""
    text = LINE_FEED + block.text
    for match in _WORD_LINE.finditer(text):
        number = block.first_line + text.count(LINE_FEED, 1, match.start() + 1)
        yield decoded(number, match[0].strip(LINE_FEED), ended=bool(match[1]))


def parse_block(block: TextBlock, n_words: int) -> ParsedBlock:
    """Parse the lines of a block; a truncated line is rejected even if it is valid."""
    bags, bag_lines, rejections = [], [], []
    for number, line, ended in block.lines():
        if not line or line.startswith((COMMENT, WORDS)):
            continue
        if not ended:
            rejections.append((number, Rejection(block.source, "truncated_line", line[-_SHOWN:], f"line {number}")))
            continue
        try:
            bags.append(parse_bag(line, n_words))
            bag_lines.append(number)
        except BagOfWordsError as error:
            rejections.append((number, Rejection(block.source, error.reason, error.detail, f"line {number}")))
    return ParsedBlock(block.source, block.official_split, Bags.of(bags), np.array(bag_lines, np.int64), rejections)


@dataclass(frozen=True)
class Corpus:
    """Facts about all blocks together.

    `n_lines` does not count comments, empty lines and lines of words. `repeats` has, by block, the places of bags whose
    track occurred earlier. `rejections` are in the order of files and lines.
    """

    n_lines: int
    n_tracks: int
    repeats: dict[int, list[int]]
    rejections: list[Rejection]


def without_words(block: ParsedBlock) -> ParsedBlock:
    """Return a block with only its track ids, which suffice to find repeated tracks."""
    none = np.zeros(0, np.int32)
    return replace(block, bags=replace(block.bags, offsets=none, indices=none, counts=none))


def find_repeats(blocks: Sequence[ParsedBlock]) -> Corpus:
    """Reject repeated tracks, and collect the rejections of all blocks in order."""
    track_ids = np.concatenate([block.bags.track_ids for block in blocks])
    starts = np.cumsum([0, *(len(block.bags) for block in blocks)])
    _, first, group = np.unique(track_ids, return_index=True, return_inverse=True)
    repeats: dict[int, list[int]] = {}
    rejections = [list(block.rejections) for block in blocks]

    def place(row: int) -> tuple[int, int]:
        block = int(np.searchsorted(starts, row, "right")) - 1
        return block, row - int(starts[block])

    for row in np.flatnonzero(first[group] != np.arange(len(track_ids))).tolist():
        block, bag = place(row)
        first_block, first_bag = place(int(first[group[row]]))
        repeats.setdefault(block, []).append(bag)
        line = int(blocks[block].bag_lines[bag])
        detail = (
            f"{track_ids[row].decode()} occurs earlier, in line {blocks[first_block].bag_lines[first_bag]} "
            f"of {blocks[first_block].source}"
        )
        rejections[block].append((line, Rejection(blocks[block].source, "repeated_track", detail, f"line {line}")))
    ordered = [rejection for part in rejections for _, rejection in sorted(part, key=lambda entry: entry[0])]
    n_lines = sum(len(block.bags) + len(block.rejections) for block in blocks)
    return Corpus(n_lines, len(first), repeats, ordered)
