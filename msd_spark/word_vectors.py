"""Word vectors trained on the bags of words themselves, and the lyric vector made from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from msd_spark.musixmatch import BagOfWords
from msd_spark.schema import GEOMETRY

MAX_REPEATS = 5
"""A word's occurrences in a bag that training sees; a chorus would drown the rest otherwise."""


def _stable_hash(word: str) -> int:
    """Hash a word alike in every process, as gensim needs to start from the same vectors each time."""
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def train_word_vectors(
    bags: Sequence[BagOfWords], words: Sequence[str], seed: int = 0, size: int = GEOMETRY.lyric_size, epochs: int = 5
) -> np.ndarray:
    """Train vectors for the words of a header on bags of words.

    A bag has no order, so its words are shuffled; what stands near a word is then a random draw of its bag.

    Parameters
    ----------
    bags : sequence of BagOfWords
    words : sequence of str
        The header's words; word ``i`` of a bag is ``words[i - 1]``.
    seed : int
    size : int
        Dimensions of a vector.
    epochs : int

    Returns
    -------
    numpy.ndarray
        Shape ``(len(words), size)``, float32; a row of NaN for a word that no bag has. The same
        for the same arguments, whatever the machine's number of cores.
    """
    from gensim.models import Word2Vec

    vectors = np.full((len(words), size), np.nan, np.float32)
    generator = np.random.default_rng(seed)
    sentences = []
    for bag in bags:
        tokens = np.repeat(bag.indices, np.minimum(bag.counts, MAX_REPEATS))
        # gensim cuts a sentence at 10,000 words; no bag comes near it.
        sentences.append([str(index) for index in generator.permutation(tokens)])
    if not sentences:
        return vectors
    model = Word2Vec(
        sentences,
        vector_size=size,
        window=10,
        min_count=1,
        negative=5,
        epochs=epochs,
        seed=seed,
        workers=1,
        hashfxn=_stable_hash,
    )
    for token, row in model.wv.key_to_index.items():
        vectors[int(token) - 1] = model.wv.vectors[row]
    return vectors


def known(vectors: np.ndarray) -> np.ndarray:
    """Return which words have a vector: shape ``(n_words,)``, bool."""
    return np.isfinite(vectors).all(axis=1)


def lyric_vector(indices: np.ndarray, counts: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Return a bag's lyric vector and its coverage.

    The vector is the sum of the word vectors, each weighted by its word's share of the
    occurrences of all words that have a vector.

    Parameters
    ----------
    indices, counts : numpy.ndarray
        Shape ``(n_words,)``: words from 1, and their occurrences.
    vectors : numpy.ndarray
        Shape ``(n_header_words, size)``; a row with NaN is a word without a vector.

    Returns
    -------
    vector : numpy.ndarray or None
        Shape ``(size,)``, float32; None where no word of the bag has a vector.
    coverage : float
        Share of the bag's occurrences whose word has a vector, in [0, 1].
    """
    rows = vectors[indices - 1]
    has_vector = np.isfinite(rows).all(axis=1)
    occurrences = counts[has_vector].astype(np.float64)
    total = occurrences.sum()
    if not total:
        return None, 0.0
    return ((occurrences / total) @ rows[has_vector].astype(np.float64)).astype(np.float32), float(total / counts.sum())


def fingerprint(words: Iterable[str], vectors: np.ndarray) -> str:
    """Return a name for a set of word vectors: words and numbers."""
    digest = hashlib.sha256("\n".join(words).encode())
    digest.update(np.ascontiguousarray(vectors, np.float32).tobytes())
    return digest.hexdigest()[:32]
