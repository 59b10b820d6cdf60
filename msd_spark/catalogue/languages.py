"""Detect the language of lyrics from a bag of words.

py3langid [1]_ classifies text by its byte sequences, so the order of words does not matter. The most common words of a
bag are function words, which distinguish languages best. Each is written once, and once more per doubling of its
count, so that a refrain does not dominate.

The musiXmatch dataset keeps the 5,000 most common words of all lyrics, most of them English, so a song in a rare
language keeps few words. A bag with few words has no language.

References
----------
.. [1] M. Lui, T. Baldwin, "langid.py: an off-the-shelf language identification tool", ACL 2012;
   py3langid, https://github.com/adbar/py3langid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

LANGUAGES = (
    "cs", "da", "de", "en", "es", "fi", "fr", "hr", "hu", "id", "is", "it", "nl", "no", "pl", "pt", "ro", "ru",
    "sv", "tl", "tr",
)  # fmt: skip
"""Languages that the 5,000 words can distinguish; with all 97 of py3langid, short bags are assigned to languages that
hardly any song has."""

MOST_WORDS = 100
FEWEST_WORDS = 5
LEAST_CONFIDENCE = 0.8


class LyricLanguage(NamedTuple):
    """The language of lyrics: its ISO 639-1 code, and the probability from py3langid.

    The probability assumes independent words, so it is near 1 for most songs.
    """

    code: str
    confidence: float


def lyric_language(words: Sequence[str], counts: Sequence[int] | np.ndarray) -> LyricLanguage | None:
    """Return the language of a bag of words, not stems, with their counts; None if unknown.

    It is unknown for fewer than `FEWEST_WORDS` words with a letter, or below `LEAST_CONFIDENCE`. Raises a `ValueError`
    if the numbers of words and counts differ.
    """
    if len(words) != len(counts):
        raise ValueError(f"{len(words)} words and {len(counts)} counts")
    spoken = [(int(count), word) for word, count in zip(words, counts, strict=True) if any(map(str.isalpha, word))]
    if len(spoken) < FEWEST_WORDS:
        return None
    commonest = sorted(spoken, key=lambda pair: (-pair[0], pair[1]))[:MOST_WORDS]
    text = " ".join(" ".join([word] * max(1, count.bit_length())) for count, word in commonest)
    code, confidence = _identifier().classify(text)
    return LyricLanguage(str(code), float(confidence)) if confidence >= LEAST_CONFIDENCE else None


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """Load py3langid with the model of its package, once per process."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_pickled_model(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
