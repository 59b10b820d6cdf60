"""How a bag of words becomes a lyric vector: the words' weights, and the part that all bags have in common.

A bag with the occurrences ``c(w)`` of its words becomes the sum of their word vectors ``v(w)``,
words without a vector left out of every sum:

``share``
    ``sum c(w) v(w) / sum c(w)``: each word by its share of the known words' occurrences.
``idf``
    ``sum c(w) idf(w) v(w) / sum c(w) idf(w)`` with ``idf(w) = ln((1 + N) / (1 + n(w))) + 1``, `N` bags of
    which `n(w)` have the word; the form without zeros that scikit-learn has too [1]_.
``sif``
    Smooth inverse frequency [2]_: ``sum c(w) a / (a + p(w)) v(w) / sum c(w)`` with ``p(w)`` the word's share of
    all occurrences in all bags, less the projection on the common component: the first singular vector of
    all bags' vectors as they are, not centred.

References
----------
.. [1] scikit-learn, `TfidfTransformer` with ``smooth_idf=True``.
.. [2] S. Arora, Y. Liang, T. Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from msd_spark.lyrics.bags import Bags

SHARE, IDF, SIF = "share", "idf", "sif"
WEIGHTS = (SHARE, IDF, SIF)
SIF_A = 1e-3
"""The weight of a word falls by half where its share of all occurrences is this."""


@dataclass(frozen=True)
class WordStatistics:
    """How often the words of a header occur in a corpus; those of two corpora add up.

    Attributes
    ----------
    n_bags : int
    document_frequency, occurrences : numpy.ndarray
        Shape ``(n_words,)``, int64: bags that have the word, and occurrences in all of them.
    """

    n_bags: int
    document_frequency: np.ndarray
    occurrences: np.ndarray

    @classmethod
    def of(cls, bags: Bags, n_words: int) -> WordStatistics:
        """Count the words of some bags."""
        words = bags.indices - 1
        # Sums of float64 are exact up to 2**53 occurrences.
        occurrences = np.bincount(words, bags.counts, n_words).astype(np.int64)
        return cls(len(bags), np.bincount(words, minlength=n_words), occurrences)

    def __add__(self, other: WordStatistics) -> WordStatistics:
        return WordStatistics(
            self.n_bags + other.n_bags,
            self.document_frequency + other.document_frequency,
            self.occurrences + other.occurrences,
        )


def word_weights(kind: str, statistics: WordStatistics, a: float = SIF_A) -> np.ndarray:
    """Return the weight of each word of a header: shape ``(n_words,)``, float64, above 0.

    Parameters
    ----------
    kind : {'share', 'idf', 'sif'}
    statistics : WordStatistics
        Of the corpus.
    a : float
        The parameter of smooth inverse frequency.

    Raises
    ------
    ValueError
        When the kind is none of these.
    """
    if kind == SHARE:
        return np.ones(len(statistics.occurrences))
    if kind == IDF:
        return np.log((1 + statistics.n_bags) / (1 + statistics.document_frequency)) + 1
    if kind == SIF:
        return a / (a + statistics.occurrences / max(1, statistics.occurrences.sum()))
    raise ValueError(f"{kind!r} is none of {', '.join(WEIGHTS)}")


@dataclass(frozen=True)
class LyricVectors:
    """Vectors of bags.

    Attributes
    ----------
    vectors : numpy.ndarray
        Shape ``(n_bags, size)``, float64; zero where no word of the bag has a vector.
    known_occurrences, occurrences : numpy.ndarray
        Shape ``(n_bags,)``, float64: those of words that have a vector, and those of all words.
    """

    vectors: np.ndarray
    known_occurrences: np.ndarray
    occurrences: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which bags have a vector: shape ``(n_bags,)``, bool."""
        return self.known_occurrences > 0

    @property
    def coverage(self) -> np.ndarray:
        """Share of each bag's occurrences whose word has a vector: shape ``(n_bags,)``, float64, in [0, 1]."""
        return self.known_occurrences / np.maximum(self.occurrences, 1)

    def second_moment(self) -> np.ndarray:
        """Return the sum of the vectors' outer products with themselves: shape ``(size, size)``."""
        return self.vectors.T @ self.vectors


@dataclass(frozen=True)
class LyricTransform:
    """From bags to lyric vectors.

    Attributes
    ----------
    kind : {'share', 'idf', 'sif'}
    vectors : numpy.ndarray
        Shape ``(n_words, size)``, float32; a row with NaN is a word without a vector.
    weights : numpy.ndarray
        Shape ``(n_words,)``, float64: see `word_weights`.
    component : numpy.ndarray or None
        Shape ``(size,)``, float32, of length 1: what is removed from each vector.
    """

    kind: str
    vectors: np.ndarray
    weights: np.ndarray
    component: np.ndarray | None = None

    def __call__(self, bags: Bags) -> LyricVectors:
        """Return the bags' lyric vectors."""
        n_words = len(self.weights)
        known = np.isfinite(self.vectors).all(axis=1)
        weights = np.where(known, self.weights, 0.0)
        rows = np.where(known[:, None], self.vectors, 0.0).astype(np.float64)
        occurrences = bags.matrix(n_words)
        of_known = occurrences @ known.astype(np.float64)
        total = of_known if self.kind == SIF else occurrences @ weights
        summed = occurrences @ (weights[:, None] * rows)
        vectors = np.divide(summed, total[:, None], out=np.zeros_like(summed), where=of_known[:, None] > 0)
        if self.component is not None:
            component = self.component.astype(np.float64)
            vectors -= np.outer(vectors @ component, component)
        return LyricVectors(vectors, of_known, occurrences @ np.ones(n_words))

    def without_common_component(self, second_moment: np.ndarray) -> LyricTransform:
        """Return this transform with the first component of a corpus removed from what it gives."""
        return replace(self, component=common_component(second_moment))

    def fingerprint(self, words: Iterable[str]) -> str:
        """Return a name for words, vectors, weights and component: equal names, equal lyric vectors."""
        digest = hashlib.sha256("\n".join(words).encode())
        for part in (self.vectors, self.weights, self.component):
            digest.update(b"\0" if part is None else np.ascontiguousarray(part).tobytes())
        digest.update(self.kind.encode())
        return digest.hexdigest()[:32]


def common_component(second_moment: np.ndarray) -> np.ndarray:
    """Return the direction that the vectors of a corpus share most.

    Parameters
    ----------
    second_moment : numpy.ndarray
        Shape ``(size, size)``: the sum of all vectors' outer products with themselves.

    Returns
    -------
    numpy.ndarray
        Shape ``(size,)``, float32, of length 1, its greatest number positive; zero where all vectors are.
    """
    if not second_moment.any():
        return np.zeros(len(second_moment), np.float32)
    _, directions = np.linalg.eigh(second_moment)
    first = directions[:, -1]
    return (first * np.sign(first[np.argmax(np.abs(first))])).astype(np.float32)
