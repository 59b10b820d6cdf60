"""The 5,000 words of the lyrics: real function words, invented and irregular words.

They do not depend on the seed, so that a word means the same in every catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from msd_spark.synthetic import names
from msd_spark.synthetic.draws import Floats, digest
from msd_spark.synthetic.signal import GENRE_PRIOR, GENRES

VOCABULARY_SIZE = 5000
_WORLD = 2011
_TOPIC_WORDS, _TOPICAL_WORDS = 60, 400  # words per topic, and words that topics are drawn from

ENGLISH = (
    "i the you to and a me it not in my is of your that do on are we am will all for no be have love so know this but "
    "with what just when like now can come there go up oh la one they out down get she was see if got never from he "
    "feel want let make way say take would as ca day at babi away life yeah back by her heart here how could night"
).split()
"""The commonest stems, approximately in the order of the real list."""

SPANISH = "que de y en el un la tu te mi se yo es por con una los más corazón amor día qué está sin para como".split()

SPANISH_SHARE = np.array([{"Latin": 0.6, "International": 0.2}.get(genre, 0.02) for genre in GENRES])
"""Shares of each genre's songs that are in Spanish."""

STEMMED = {"babi": "baby", "ca": "can't", "whi": "why", "onli": "only", "caus": "'cause", "damag": "damage"}

ODDITIES = (
    "don’t", "can’t", "it´m", "‘caus", "¿qué", "&", "i`m", "you´r", "–",  # other apostrophes, signs
    "donâ\x80\x99t", "youâ\x80\x99r", "â\x96", "c\x9cur", "\x96", "no\x85", "n\x85on",  # UTF-8 read as Latin-1, and C1
    "été", "größe", "señor", "går", "się", "perché", "não", "mãe", "für", "déjà", "мир", "愛",
)  # fmt: skip
"""Words that some readers split or misread: `str.splitlines` splits lines at some of their characters."""


@dataclass(frozen=True)
class Vocabulary:
    """5,000 unique stems, by descending frequency, and the commonest word of each."""

    stems: tuple[str, ...]
    words: tuple[str, ...]
    cumulative: Floats
    """Shape ``(2, genres, 5000)``: cumulative probabilities of the stems in English and Spanish songs of each genre."""


def _made_up(count: int, taken: set[str]) -> list[tuple[str, str]]:
    """Spell stems with their words, 28 % of them different, as in the real list."""
    pairs: list[tuple[str, str]] = []
    number = 0
    while len(pairs) < count:
        octets = digest(_WORLD, "stem", number)
        stem = names.word(octets[: 2 + octets[62] % 2]) + ("", "", "n", "t", "r")[octets[61] % 5]
        number += 1
        if stem in taken:
            continue
        taken.add(stem)
        ending = ("e", "s", "ing", "ed", "y")[octets[60] % 5]
        if octets[59] % 7 < 2:
            # Stemmers turn a final y into i: the stem of "baby" is "babi".
            swaps = ending == "y" and f"{stem}i" not in taken
            pairs.append((f"{stem}i", f"{stem}y") if swaps else (stem, stem + ending))
            taken.add(pairs[-1][0])
        else:
            pairs.append((stem, stem))
    return pairs


@lru_cache(maxsize=4)
def vocabulary(genre_share: float) -> Vocabulary:
    """Return the vocabulary for a share of words from the topic of the genre."""
    real = list(dict.fromkeys([*ENGLISH, *SPANISH]))
    pairs = [(stem, STEMMED.get(stem, stem)) for stem in real]
    invented = _made_up(VOCABULARY_SIZE - len(real) - len(ODDITIES), set(real) | set(ODDITIES))
    spread = len(invented) // len(ODDITIES)
    for place, odd in enumerate(ODDITIES):  # distributed over the list, as in the real one
        invented.insert(place * spread + 40, (odd, odd))
    pairs += invented

    background = (np.arange(VOCABULARY_SIZE) + 6.0) ** -1.1
    background /= background.sum()
    english = (1 - genre_share) * background + genre_share * _topics(len(real))
    spanish = english / 2
    spanish[:, [[stem for stem, _ in pairs].index(stem) for stem in SPANISH]] += 0.5 / len(SPANISH)
    languages = np.stack([english, spanish])
    shares = GENRE_PRIOR * np.stack([1 - SPANISH_SHARE, SPANISH_SHARE])
    order = np.argsort(-(shares[:, :, None] * languages).sum(axis=(0, 1)), kind="stable")
    cumulative = np.cumsum(languages[:, :, order], axis=2)
    cumulative /= cumulative[:, :, -1:]
    return Vocabulary(tuple(pairs[place][0] for place in order), tuple(pairs[place][1] for place in order), cumulative)


def _topics(n_real: int) -> Floats:
    """Return word probabilities per genre: 60 of 400 invented words."""
    random = np.random.Generator(np.random.SFC64(_WORLD))
    topics = np.zeros((len(GENRES), VOCABULARY_SIZE))
    weights = 1 / (np.arange(_TOPIC_WORDS) + 5.0)
    for topic in topics:
        own = n_real + random.permutation(_TOPICAL_WORDS)[:_TOPIC_WORDS]
        topic[own] = weights / weights.sum()
    return topics
