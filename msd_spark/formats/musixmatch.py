"""The musiXmatch dataset's files: bags of words, and the mapping from stems to words.

References
----------
.. [1] The musiXmatch dataset, http://millionsongdataset.com/musixmatch/: ``#`` comments, one
   ``%`` line with the 5,000 top words, then ``track_id,musixmatch_id,index:count,…`` with
   indices from 1.

Words contain C1 control characters and other unusual characters, so only a line feed ends a line.
`msd_spark.lyrics.blocks` splits a file into lines and bags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from msd_spark.core.errors import InputError
from msd_spark.core.track_ids import TRACK_ID

COMMENT, WORDS = "#", "%"
SEPARATOR = "<SEP>"
CARRIAGE_RETURN = "\r"

_LINE = re.compile(
    rf"({TRACK_ID.pattern}),([0-9]{{1,18}}),([1-9][0-9]{{0,8}}:[1-9][0-9]{{0,8}}(?:,[1-9][0-9]{{0,8}}:[1-9][0-9]{{0,8}})*)"
)
"""The usual form of a line; its limits on digits ensure that numbers fit their columns."""

_PAIR = re.compile(r"([1-9][0-9]{0,39}):([1-9][0-9]{0,39})")
_IDENTIFIER = re.compile(r"[0-9]{1,19}")


class BagOfWordsError(InputError):
    """A line that is not a bag of words.

    Reasons: ``bad_track_id``, ``bad_musixmatch_id``, ``bad_count``, ``unknown_word``, ``repeated_word``.
    """


@dataclass(frozen=True)
class BagOfWords:
    """The unordered words of a track's lyrics; the musiXmatch id is 0 if unknown.

    `indices` and `counts` have shape ``(n_words,)``, int32: index into the header's words, from 1, and number of
    occurrences, at least 1.
    """

    track_id: str
    musixmatch_id: int
    indices: np.ndarray
    counts: np.ndarray


def parse_words(line: str) -> list[str]:
    """Return the words of a ``%`` line, without blanks around them; `ValueError` otherwise."""
    if not line.startswith(WORDS):
        raise ValueError(f"the list of words begins with {WORDS}; this line begins with {line[:10]!r}")
    return [word.strip(" \t") for word in line[1:].split(",")]


def parse_bag(line: str, n_words: int) -> BagOfWords:
    """Parse one line without its line feed, in a file whose header has `n_words` words."""
    usual = _LINE.fullmatch(line)
    if usual is not None:
        track_id, musixmatch_id, pairs = usual.groups()
        numbers = np.fromstring(pairs.replace(":", ","), np.int32, sep=",").reshape(-1, 2)
    else:
        track_id, musixmatch_id, numbers = _parse_unusual(line)
    indices, counts = np.ascontiguousarray(numbers.T)
    if indices.max() > n_words:
        raise BagOfWordsError("unknown_word", f"{track_id}: word {indices.max()} of {n_words}")
    # The official files list a bag's words in order; only other lines have to be sorted to find a repetition.
    if (indices[1:] <= indices[:-1]).any() and len(np.unique(indices)) != len(indices):
        raise BagOfWordsError("repeated_word", f"{track_id}: a word is repeated")
    return BagOfWords(track_id, int(musixmatch_id), indices, counts)


def _parse_unusual(line: str) -> tuple[str, str, np.ndarray]:
    """Return the parts of a line with unusually large numbers, or raise its error."""
    greatest = np.iinfo(np.int32).max
    track_id, _, rest = line.partition(",")
    if not TRACK_ID.fullmatch(track_id):
        raise BagOfWordsError("bad_track_id", repr(track_id[:40]))
    musixmatch_id, _, pairs = rest.partition(",")
    if not _IDENTIFIER.fullmatch(musixmatch_id) or int(musixmatch_id) > np.iinfo(np.int64).max:
        raise BagOfWordsError("bad_musixmatch_id", f"{track_id}: {musixmatch_id[:40]!r}")
    numbers = []
    for pair in pairs.split(","):
        match = _PAIR.fullmatch(pair)
        if match is None:
            raise BagOfWordsError("bad_count", f"{track_id}: {pair[:40]!r} is not index:count")
        numbers.append((int(match[1]), int(match[2])))
    for index, count in numbers:
        if index > greatest:
            raise BagOfWordsError("unknown_word", f"{track_id}: word {index}")
        if count > greatest:
            raise BagOfWordsError("bad_count", f"{track_id}: a count of {count}")
    return track_id, musixmatch_id, np.array(numbers, np.int32)


def parse_reverse_mapping(lines: Iterable[str]) -> dict[str, str]:
    """Return the word of each stem from lines ``stem<SEP>word`` without their line feeds.

    Empty lines and a final carriage return are ignored. Raises a `ValueError` if a line has no separator, or a stem has
    two words.
    """
    words: dict[str, str] = {}
    for number, ended in enumerate(lines, 1):
        line = ended.removesuffix(CARRIAGE_RETURN)
        if not line:
            continue
        stem, separator, word = line.partition(SEPARATOR)
        if not separator:
            raise ValueError(f"line {number} has no {SEPARATOR}: {line[:60]!r}")
        if words.setdefault(stem, word) != word:
            raise ValueError(f"line {number} has a second word for {stem!r}: {word!r} after {words[stem]!r}")
    return words
