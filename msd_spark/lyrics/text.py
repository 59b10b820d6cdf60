"""Turn the text of a song's lyrics into a bag of words and a lyric vector.

The words are those of ``lyric_words/``. The words of the musiXmatch dataset are lower-case stems of the Porter2
algorithm, without punctuation, of text with expanded contractions ("don't" is "do not") [1]_.

References
----------
.. [1] The musiXmatch dataset, http://millionsongdataset.com/musixmatch.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import snowballstemmer

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import LYRICS
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse, command_for
from msd_spark.formats.musixmatch import BagOfWords
from msd_spark.io.lines import decoded
from msd_spark.io.unpacked import open_unpacked
from msd_spark.lyrics.bags import Bags
from msd_spark.lyrics.weights import LyricTransform

LONGEST_TEXT = 1 << 20
"""Bytes; the lyrics of a song have a few thousand."""

_CONTRACTIONS = (
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bcan't\b"), "can not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"\b(it|he|she|that|there|what|where|who|how|here)'s\b"), r"\1 is"),
)
_APOSTROPHES = str.maketrans("’‘´`ʼ", "'''''")


@dataclass(frozen=True)
class NewLyrics:
    """The lyrics of one song as lists of one row, as in ``lyrics/``.

    `vector` is null if no word has a vector. `n_words` is the number of words in the text, and `n_unknown` that of
    those not in the list.
    """

    vector: pa.Array
    indices: pa.Array
    counts: pa.Array
    n_words: int
    n_unknown: int

    @property
    def has_vector(self) -> np.ndarray:
        """Whether any word has a vector: shape ``(1,)``, bool."""
        return np.asarray(self.vector.is_valid().to_numpy(zero_copy_only=False))


def stems(text: str) -> list[str]:
    """Return the stems of the words of a text, in order.

    Examples
    --------
    >>> stems("Don't you worry: it's John’s DREAMING")
    ['do', 'not', 'you', 'worri', 'it', 'is', 'john', 'dream']
    """
    text = unicodedata.normalize("NFC", text).lower().translate(_APOSTROPHES)
    for contraction, words in _CONTRACTIONS:
        text = contraction.sub(words, text)
    return list(snowballstemmer.stemmer("english").stemWords(re.findall(r"\w+", text.replace("'", ""))))


def read_lyrics(warehouse: Warehouse, location: str) -> NewLyrics:
    """Return the lyrics in a text file, by the words and vectors of ``lyric_words/``."""
    warehouse.require("lyric_words")
    table = warehouse.read_table(["index", "stem", "word", "weight", "word_vector"], "lyric_words").sort_by("index")
    with open_unpacked(location) as stream:
        content = stream.read(LONGEST_TEXT + 1)
    if len(content) > LONGEST_TEXT:
        raise UserError(f"{location} has more than {LONGEST_TEXT >> 20} MiB; --lyrics takes the text of one song")
    found = stems(decoded(1, content, ended=True).text)
    by_stem = {stem: index for index, stem in enumerate(table["stem"].to_pylist(), 1)}
    bag = Counter(by_stem[stem] for stem in found if stem in by_stem)
    if not bag:
        raise UserError(f"{location} has {len(found)} words, none of them in lyric_words/; give the text of a song")
    indices = np.array(sorted(bag), np.int32)
    counts = np.array([bag[index] for index in indices.tolist()], np.int32)
    vector = _transform(warehouse, table)(Bags.of([BagOfWords("", 0, indices, counts)]))
    lists = {
        "word_indices": indices,
        "word_counts": counts,
        "lyric_vector": vector.vectors[0] if vector.present[0] else None,
    }
    arrays = {name: pa.array([row], LYRICS.field(name).type) for name, row in lists.items()}
    n_unknown = len(found) - sum(bag.values())
    return NewLyrics(arrays["lyric_vector"], arrays["word_indices"], arrays["word_counts"], len(found), n_unknown)


def _transform(warehouse: Warehouse, table: pa.Table) -> LyricTransform:
    """Return the transform that made the vectors of ``lyrics/``."""
    try:
        recorded = warehouse.read_json(SUMMARIES, "lyrics.json")["vectors"]
        kind, component = recorded["weights"], recorded["component"]
    except (OSError, KeyError, ValueError):
        message = f"{SUMMARIES}/lyrics.json does not describe the vectors of lyrics/"
        raise UserError(f"{message}; run {command_for('lyrics')} again") from None
    rows = table["word_vector"].to_pylist()
    size = next((len(row) for row in rows if row), 0)
    vectors = np.array([row or [np.nan] * size for row in rows], np.float32)
    direction = None if component is None else np.array(component, np.float32)
    return LyricTransform(kind, vectors, table["weight"].to_numpy(), direction)
