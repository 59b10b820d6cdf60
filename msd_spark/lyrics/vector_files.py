"""Files of word vectors: word2vec's text and binary form, GloVe's text, and what is refused.

References
----------
.. [1] word2vec, https://code.google.com/archive/p/word2vec/: a line ``words dimensions``, then for each word
   its text, a blank, and the numbers as text with blanks between them or as little-endian float32. gensim's
   `KeyedVectors.save_word2vec_format` writes both.
.. [2] GloVe, https://nlp.stanford.edu/projects/glove/: the same text without the first line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import IO

import numpy as np

from msd_spark.core.errors import UserError
from msd_spark.io.lines import LINE_FEED
from msd_spark.io.unpacked import open_unpacked

_HEADER = re.compile(rb"([0-9]{1,12}) ([0-9]{1,6})\s*\n")
_PICKLE, _NUMPY, _HDF5 = b"\x80", b"\x93NUMPY", b"\x89HDF"
_SNIFFED = 1 << 16
_LONGEST_WORD = 1 << 12
_SHOWN = 60
_NUMBER = np.dtype("<f4")

TEXT, BINARY, GLOVE = "word2vec text", "word2vec binary", "GloVe text"

CONVERT = (
    "python -c \"from gensim.models import KeyedVectors; KeyedVectors.load('FILE').save_word2vec_format('FILE.txt')\""
)


def read_vectors(location: str, wanted: Collection[str], size: int) -> tuple[dict[str, np.ndarray], str]:
    """Return the vectors of some words, and the form of the file they were in.

    Parameters
    ----------
    stage : str
        Who asks, for the error.
    location : str
        Path or address of the file, plain, gzipped or in a zip.
    wanted : collection of str
        Words to look for; the others are passed over as they are read.
    size : int
        Dimensions that the vectors should have.

    Returns
    -------
    vectors : dict of str to numpy.ndarray
        Shape ``(size,)``, float32. Of a word that stands twice, the first.
    form : str
        ``word2vec text``, ``word2vec binary`` or ``GloVe text``.

    Raises
    ------
    UserError
        When the file is not there, is of another form or of other dimensions, is cut off, or a
        vector is none.
    """
    ending = f".{size}d.txt"  # of glove.6B.zip's members, for one
    try:
        with open_unpacked(location, ending) as stream:
            start = stream.read(_SNIFFED)
        form, n_words = _form(start, size)
        by_bytes = {word.encode(): word for word in wanted}
        with open_unpacked(location, ending) as stream:
            if n_words is not None:
                stream.readline()
            if form == BINARY:
                return _read_binary(stream, n_words or 0, by_bytes, size), form
            return _read_text(stream, n_words, by_bytes, size), form
    except _VectorFileError as error:
        raise UserError(f"{location} {error}") from None


class _VectorFileError(ValueError):
    """What is wrong with a file, to follow its name."""


def _form(start: bytes, size: int) -> tuple[str, int | None]:
    """Tell a file's form from its first bytes, and how many words its header says it has."""
    if start.startswith(_PICKLE):
        raise _VectorFileError(
            "is a pickle, as gensim's KeyedVectors.save writes; a pickle can run anything, so none is read here. "
            f"If you trust it, convert it: {CONVERT}"
        )
    header = _HEADER.match(start)
    first, ended, _ = start[header.end() if header else 0 :].partition(LINE_FEED)
    dimensions = int(header[2]) if header else _trailing_numbers(first)
    if start.startswith((_NUMPY, _HDF5)) or not dimensions:
        raise _VectorFileError("is no file of word vectors; give word2vec's text or binary form, or GloVe's text")
    if dimensions != size:
        raise _VectorFileError(f"has vectors of {dimensions} dimensions, a lyric vector has {size}; give other vectors")
    if header is None:
        return GLOVE, None
    # Raw float32 between the word and the next line feed hardly ever reads as `size` numbers.
    return TEXT if ended and _trailing_numbers(first) == size else BINARY, int(header[1])


def _trailing_numbers(line: bytes) -> int:
    """Return how many numbers follow a line's word."""
    count = 0
    for field in reversed(line.split()[1:]):
        try:
            float(field)
        except ValueError:
            break
        count += 1
    return count


def _read_text(stream: IO[bytes], n_words: int | None, wanted: Mapping[bytes, str], size: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    n_lines = 0
    header_lines = 0 if n_words is None else 1
    for line in stream:
        n_lines += 1
        where = f"line {n_lines + header_lines}"
        if not line.endswith(LINE_FEED):
            raise _VectorFileError(f"is cut off: {where} has no line feed; fetch it again")
        # From the right: words of some files have blanks within.
        word, *numbers = line.rsplit(None, size)
        if len(numbers) != size:
            raise _VectorFileError(f"has no word and {size} numbers in {where}: {line[:_SHOWN]!r}")
        name = wanted.get(word)
        if name is not None and name not in found:
            try:
                vector = np.array([float(field) for field in numbers], np.float32)
            except ValueError:
                raise _VectorFileError(f"has no word and {size} numbers in {where}: {line[:_SHOWN]!r}") from None
            if not np.isfinite(vector).all():
                raise _VectorFileError(f"has a vector that is not finite, of {name!r}, {where}")
            found[name] = vector
    if n_words is not None and n_lines != n_words:
        raise _VectorFileError(f"says it has {n_words:,} words and has {n_lines:,}; fetch it again")
    return found


def _read_binary(stream: IO[bytes], n_words: int, wanted: Mapping[bytes, str], size: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    width = size * _NUMBER.itemsize
    for place in range(n_words):
        word = bytearray()
        while (letter := stream.read(1)) not in (b" ", b""):
            word += letter
            if len(word) > _LONGEST_WORD:
                raise _VectorFileError(f"has no word at place {place + 1:,}; is it word2vec's binary form?")
        numbers = stream.read(width)
        if len(numbers) < width:
            raise _VectorFileError(f"says it has {n_words:,} words and ends after {place:,}; fetch it again")
        # The original program ends each vector with a line feed, gensim does not.
        name = wanted.get(bytes(word).lstrip(LINE_FEED))
        if name is not None and name not in found:
            vector = np.frombuffer(numbers, _NUMBER).astype(np.float32)
            if not np.isfinite(vector).all():
                raise _VectorFileError(f"has a vector that is not finite, of {name!r}, word {place + 1:,}")
            found[name] = vector
    if stream.read(2).strip():
        raise _VectorFileError(f"says it has {n_words:,} words and goes on after them; is it word2vec's binary form?")
    return found
