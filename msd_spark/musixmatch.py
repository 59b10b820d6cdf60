"""The musiXmatch dataset's files: bags of words, and the way back from stems to words.

References
----------
.. [1] The musiXmatch dataset, http://millionsongdataset.com/musixmatch/: ``#`` comments, one
   ``%`` line with the 5,000 top words, then ``track_id,musixmatch_id,index:count,…`` with
   indices from 1.

Words hold C1 control characters and other oddities, so lines end at a line feed and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from msd_spark.track_ids import TRACK_ID

COMMENT, WORDS = "#", "%"
SEPARATOR = "<SEP>"

_PAIR = re.compile(r"([1-9][0-9]{0,39}):([1-9][0-9]{0,39})")
_IDENTIFIER = re.compile(r"[0-9]{1,19}")


class BagOfWordsError(ValueError):
    """A line that is no bag of words.

    Attributes
    ----------
    reason : str
        ``bad_track_id``, ``bad_musixmatch_id``, ``bad_count``, ``unknown_word``, ``repeated_word``
        or ``truncated_line``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that the error can cross from a worker to the driver
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class BagOfWords:
    """The words of a track's lyrics, in no order.

    Attributes
    ----------
    track_id : str
    musixmatch_id : int
        0 where it is not known.
    indices : numpy.ndarray
        Shape ``(n_words,)``, int32: places in the header's list of words, from 1.
    counts : numpy.ndarray
        Shape ``(n_words,)``, int32: occurrences, at least 1.
    """

    track_id: str
    musixmatch_id: int
    indices: np.ndarray
    counts: np.ndarray


def parse_words(line: str) -> list[str]:
    """Return the words of a ``%`` line.

    Raises
    ------
    ValueError
        When the line does not begin with ``%``.
    """
    if not line.startswith(WORDS):
        raise ValueError(f"the list of words begins with {WORDS}, this line with {line[:10]!r}")
    return line[1:].split(",")


def parse_bag(line: str, n_words: int) -> BagOfWords:
    """Return the bag of words that a line holds.

    Parameters
    ----------
    line : str
        A line of the file without its line feed.
    n_words : int
        Words in the file's header.

    Raises
    ------
    BagOfWordsError
        When any part of the line is not as the format says; nothing is guessed.
    """
    track_id, _, rest = line.partition(",")
    if not TRACK_ID.fullmatch(track_id):
        raise BagOfWordsError("bad_track_id", repr(track_id[:40]))
    musixmatch_id, _, pairs = rest.partition(",")
    if not _IDENTIFIER.fullmatch(musixmatch_id) or int(musixmatch_id) > np.iinfo(np.int64).max:
        raise BagOfWordsError("bad_musixmatch_id", f"{track_id}: {musixmatch_id[:40]!r}")
    matches = [(_PAIR.fullmatch(pair), pair) for pair in pairs.split(",")]
    for match, pair in matches:
        if match is None:
            raise BagOfWordsError("bad_count", f"{track_id}: {pair[:40]!r} is not index:count")
    numbers = [(int(match[1]), int(match[2])) for match, _ in matches if match]
    greatest_index, greatest_count = (max(column) for column in zip(*numbers, strict=True))
    if greatest_index > n_words:
        raise BagOfWordsError("unknown_word", f"{track_id}: word {greatest_index} of {n_words}")
    if greatest_count > np.iinfo(np.int32).max:
        raise BagOfWordsError("bad_count", f"{track_id}: a count of {greatest_count}")
    indices, counts = np.array(numbers, np.int32).T
    if len(np.unique(indices)) != len(indices):
        raise BagOfWordsError("repeated_word", f"{track_id}: a word stands twice")
    return BagOfWords(track_id, int(musixmatch_id), indices, counts)


def parse_reverse_mapping(lines: Iterable[str]) -> dict[str, str]:
    """Return the word that each stem stands for.

    Parameters
    ----------
    lines : iterable of str
        Lines ``stem<SEP>word`` without their line feeds; empty ones are passed over.

    Raises
    ------
    ValueError
        When a line has no separator.
    """
    words: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        stem, separator, word = line.partition(SEPARATOR)
        if not separator:
            raise ValueError(f"line {number} has no {SEPARATOR}: {line[:60]!r}")
        words[stem] = word
    return words
