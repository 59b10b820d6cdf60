"""Turn bags of words into lyric vectors: weighted sums of word vectors.

With ``c(w)`` the occurrences of a word in a bag and ``v(w)`` its vector, the vector of a bag is one of the following;
sums ignore words without a vector.

``share``
    ``sum c(w) v(w) / sum c(w)``.
``idf``
    ``sum c(w) idf(w) v(w) / sum c(w) idf(w)`` with ``idf(w) = ln((1 + N) / (1 + n(w))) + 1``, where ``n(w)`` of ``N``
    bags contain the word: the smooth form of scikit-learn [1]_.
``sif``
    Smooth inverse frequency [2]_: ``sum c(w) a / (a + p(w)) v(w) / sum c(w)``, where ``p(w)`` is the word's share of
    all occurrences, minus its projection on the common component: the first singular vector of the uncentred vectors
    of all bags.

References
----------
.. [1] scikit-learn, `TfidfTransformer` with ``smooth_idf=True``.
.. [2] S. Arora, Y. Liang, T. Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from msd_spark.lyrics.bags import Bags
from msd_spark.lyrics.settings import IDF, SHARE, SIF, SIF_A
from msd_spark.lyrics.word_vectors import known


@dataclass(frozen=True)
class WordStatistics:
    """Frequencies of the words of a header in a corpus; statistics of two corpora can be added.

    `document_frequency` is the number of bags with each word, `occurrences` the number of its occurrences in all bags.
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
    """Return the weight of each word: shape ``(n_words,)``, float64, above 0."""
    if kind == SHARE:
        return np.ones(len(statistics.occurrences))
    if kind == IDF:
        return np.log((1 + statistics.n_bags) / (1 + statistics.document_frequency)) + 1
    return a / (a + statistics.occurrences / max(1, statistics.occurrences.sum()))


@dataclass(frozen=True)
class LyricVectors:
    """Vectors of bags, float64, zero if no word of the bag has a vector.

    `coverage` is the share of each bag's occurrences whose word has a vector.
    """

    vectors: np.ndarray
    coverage: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which bags have a vector: shape ``(n_bags,)``, bool."""
        return self.coverage > 0

    def second_moment(self) -> np.ndarray:
        """Return the sum of the vectors' outer products with themselves, ``(size, size)``."""
        return self.vectors.T @ self.vectors


@dataclass(frozen=True)
class LyricTransform:
    """Map bags to lyric vectors.

    Rows of `vectors` with NaN are words without a vector; `weights` are those of `word_weights`. `component` is a
    direction of norm 1 to remove from each vector.
    """

    kind: str
    vectors: np.ndarray
    weights: np.ndarray
    component: np.ndarray | None = None

    def __call__(self, bags: Bags) -> LyricVectors:
        """Return the bags' lyric vectors."""
        n_words = len(self.weights)
        has_vector = known(self.vectors)
        weights = np.where(has_vector, self.weights, 0.0)
        rows = np.where(has_vector[:, None], self.vectors, 0.0).astype(np.float64)
        occurrences = bags.matrix(n_words)
        of_known = occurrences @ has_vector.astype(np.float64)
        total = of_known if self.kind == SIF else occurrences @ weights
        summed = occurrences @ (weights[:, None] * rows)
        vectors = np.divide(summed, total[:, None], out=np.zeros_like(summed), where=of_known[:, None] > 0)
        if self.component is not None:
            component = self.component.astype(np.float64)
            vectors -= np.outer(vectors @ component, component)
        return LyricVectors(vectors, of_known / np.maximum(occurrences @ np.ones(n_words), 1))

    def fingerprint(self, words: Iterable[str]) -> str:
        """Return a digest of everything that determines a lyric vector."""
        digest = hashlib.sha256("\n".join(words).encode())
        for part in (self.vectors, self.weights, self.component):
            digest.update(b"\0" if part is None else np.ascontiguousarray(part).tobytes())
        digest.update(self.kind.encode())
        return digest.hexdigest()[:32]


def common_component(second_moment: np.ndarray) -> np.ndarray:
    """Return the first singular vector of a corpus from its second moment, zero if that is zero.

    The result has shape ``(size,)``, float32, and norm 1; its largest absolute element is positive.
    """
    if not second_moment.any():
        return np.zeros(len(second_moment), np.float32)
    _, directions = np.linalg.eigh(second_moment)
    first = directions[:, -1]
    return (first * np.sign(first[np.argmax(np.abs(first))])).astype(np.float32)
