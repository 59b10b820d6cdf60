"""Read word vectors from files in word2vec text, word2vec binary or GloVe format.

gensim's `KeyedVectors.load_word2vec_format` is not used: it accepts a file truncated within its last number, repeats a
single number over all dimensions, ignores words beyond the declared number, rejects words with blanks and holds the
whole file in memory. For 400,000 GloVe words it takes 39 s and 135 MB, this module 3.5 s and 2 MB.

References
----------
.. [1] word2vec, https://code.google.com/archive/p/word2vec/: a line ``words dimensions``, then each word followed by
   a blank and its numbers, as text separated by blanks or as little-endian float32.
.. [2] GloVe, https://nlp.stanford.edu/projects/glove/: the same text without the first line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import IO

import numpy as np

from msd_spark.core.errors import UserError
from msd_spark.io.lines import LINE_FEED
from msd_spark.io.unpacked import open_unpacked

_HEADER = re.compile(rb"([0-9]{1,12}) ([0-9]{1,6})\s*\n")
_PICKLE, _NUMPY, _HDF5 = b"\x80", b"\x93NUMPY", b"\x89HDF"
_START_BYTES = 1 << 16
_LONGEST_WORD = 1 << 12
_SHOWN = 60
_PREFERRED = ".50d.txt"
"""Of a zip with several files, such as glove.6B.zip, the one whose name ends with this is read."""
MOST_DIMENSIONS = 4096
_NUMBER = np.dtype("<f4")

TEXT, BINARY, GLOVE = "word2vec text", "word2vec binary", "GloVe text"

CONVERT = (
    "python -c \"from gensim.models import KeyedVectors; KeyedVectors.load('FILE').save_word2vec_format('FILE.txt')\""
)


def read_vectors(location: str, words: Collection[str]) -> tuple[dict[str, np.ndarray], str]:
    """Return the vectors of some words, float32, and the format of the file.

    The format is `TEXT`, `BINARY` or `GLOVE`; the file may be plain, gzipped or zipped. Of a word that occurs twice,
    the first vector is returned. A truncated file, vectors of different lengths, and non-finite numbers are errors.
    """
    try:
        with open_unpacked(location, _PREFERRED, binary=True) as stream:
            form, n_words, size = _format_of(location, stream.read(_START_BYTES))
        with open_unpacked(location, _PREFERRED, binary=True) as stream:
            if n_words is not None:
                stream.readline()
            records = _binary_records(stream, n_words or 0, size) if form == BINARY else _lines(stream, n_words, size)
            return _selected(records, words, size), form
    except _VectorFileError as error:
        raise UserError(f"{location} {error}") from None


class _VectorFileError(ValueError):
    """An error in a file; the message follows the file's name."""


def _format_of(location: str, start: bytes) -> tuple[str, int | None, int]:
    """Return a file's format, the number of words in its header or None, and the vector length."""
    if start.startswith(_PICKLE):
        raise _VectorFileError(
            "is a pickle, as gensim's KeyedVectors.save writes; pickles can run any code and are never read. "
            f"If you trust the file, convert it: {CONVERT}"
        )
    header = _HEADER.match(start)
    first, line_feed, _ = start[header.end() if header else 0 :].partition(LINE_FEED)
    size = int(header[2]) if header else _trailing_numbers(first)
    if start.startswith((_NUMPY, _HDF5)) or not size:
        raise _VectorFileError(
            "is not a file of word vectors; give one in word2vec text, word2vec binary or GloVe format"
        )
    check_size(location, size)
    if header is None:
        return GLOVE, None, size
    # Raw float32 between a word and the next line feed almost never parses as `size` numbers.
    return TEXT if line_feed and _trailing_numbers(first) == size else BINARY, int(header[1]), size


def check_size(source: str, size: int) -> None:
    """Check the length of a source's vectors."""
    if size > MOST_DIMENSIONS:
        raise UserError(f"{source} has vectors of {size:,} dimensions; allowed: up to {MOST_DIMENSIONS:,}")


def _trailing_numbers(line: bytes) -> int:
    """Return how many numbers end a line, not counting its first field."""
    count = 0
    for field in reversed(line.split()[1:]):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count


Record = tuple[str, bytes, bytes | list[bytes]]
"""The position of a word in the file, the word, and its numbers as float32 or as text."""


def _selected(records: Iterator[Record], words: Collection[str], size: int) -> dict[str, np.ndarray]:
    """Return the first vector of each requested word."""
    names = {word.encode(): word for word in words}
    vectors: dict[str, np.ndarray] = {}
    for place, word, numbers in records:
        name = names.get(word)
        if name is None or name in vectors:
            continue
        if isinstance(numbers, bytes):
            vector = np.frombuffer(numbers, _NUMBER).astype(np.float32)
        else:
            try:
                with np.errstate(over="ignore"):  # infinite numbers are refused below
                    vector = np.array([float(field) for field in numbers]).astype(np.float32)
            except ValueError:
                raise _VectorFileError(f"has no {size} numbers for {name!r} in {place}") from None
        if not np.isfinite(vector).all():
            raise _VectorFileError(f"has a vector that is not finite, for {name!r} in {place}")
        vectors[name] = vector
    return vectors


def _lines(stream: IO[bytes], n_words: int | None, size: int) -> Iterator[Record]:
    count = 0
    for number, line in enumerate(stream, 1 if n_words is None else 2):
        if line.isspace():
            continue
        count += 1
        if not line.endswith(LINE_FEED):
            raise _VectorFileError(f"is truncated: line {number} has no line feed; download it again")
        # Split from the right, since words of some files contain blanks.
        word, *numbers = line.rsplit(None, size)
        if len(numbers) != size:
            raise _VectorFileError(f"has no word with {size} numbers in line {number}: {line[:_SHOWN]!r}")
        yield f"line {number}", word, numbers
    if n_words is not None and count != n_words:
        raise _VectorFileError(f"has {count:,} words, its header says {n_words:,}; download it again")


def _binary_records(stream: IO[bytes], n_words: int, size: int) -> Iterator[Record]:
    width = size * _NUMBER.itemsize
    for place in range(1, n_words + 1):
        word = bytearray()
        while (letter := stream.read(1)) not in (b" ", b""):
            word += letter
            if len(word) > _LONGEST_WORD:
                raise _VectorFileError(f"has no word at place {place:,}; is it in word2vec binary format?")
        numbers = stream.read(width)
        if len(numbers) < width:
            raise _VectorFileError(f"has {place - 1:,} words, its header says {n_words:,}; download it again")
        # The original program ends each vector with a line feed, gensim does not.
        yield f"word {place:,}", bytes(word).lstrip(LINE_FEED), numbers
    if stream.read(2).strip():
        raise _VectorFileError(f"has more than the {n_words:,} words of its header; is it in word2vec binary format?")
