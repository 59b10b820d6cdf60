"""The language of lyrics, from a bag of words.

py3langid [1]_ judges text by the byte sequences in it, so the words may stand in any order. The commonest
words of a bag are the function words, which tell languages apart best; each is written once, and once more
for every doubling of its count, so that a refrain does not outvote the rest.

The musiXmatch dataset keeps the 5,000 commonest words of all lyrics, of which the most are English: a song in a
rare language is left with few words. A bag of few words has no language, rather than a guess.

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
"""Languages of the lyrics that the 5,000 words can tell; with all of py3langid's 97, a short bag is taken for a
language that hardly any song is in."""

MOST_WORDS = 100
FEWEST_WORDS = 5
LEAST_CONFIDENCE = 0.8


class LyricLanguage(NamedTuple):
    """What language lyrics are in.

    Attributes
    ----------
    code : str
        ISO 639-1.
    confidence : float
        py3langid's probability, from 0 to 1. It takes words for independent, so it is near 1 for most songs.
    """

    code: str
    confidence: float


def lyric_language(words: Sequence[str], counts: Sequence[int] | np.ndarray) -> LyricLanguage | None:
    """Return the language of a bag of words, or None where it cannot be told.

    Parameters
    ----------
    words : sequence of str
        Whole words, not stems.
    counts : sequence of int
        How often each occurs.

    Returns
    -------
    LyricLanguage or None
        None for fewer than `FEWEST_WORDS` words with a letter, or below `LEAST_CONFIDENCE`.

    Raises
    ------
    ValueError
        When there are not as many counts as words.
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
    """Return py3langid with its own model, which is a part of that package; loaded once a process."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_pickled_model(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
