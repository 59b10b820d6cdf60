"""A vector for each word of a header: trained on the bags of words themselves, or looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from msd_spark.core.schemas import GEOMETRY
from msd_spark.lyrics.bags import Bags

MAX_REPEATS = 5
"""A word's occurrences in a bag that training sees; a chorus would drown the rest otherwise."""


class _ShuffledBags:
    """The bags as gensim's sentences: each pass draws another order of every bag's words, the same in every run."""

    def __init__(self, bags: Bags, n_words: int, seed: int, bar: tqdm) -> None:
        self.bags, self.seed, self.bar, self.passes = bags, seed, bar, 0
        self.repeats = np.minimum(bags.counts, MAX_REPEATS)
        self.tokens = [str(index) for index in range(n_words + 1)]

    def frequencies(self) -> dict[str, int]:
        """Return how often each word that occurs is seen in a pass."""
        seen = np.bincount(self.bags.indices, self.repeats, len(self.tokens)).astype(int)
        return {token: int(count) for token, count in zip(self.tokens, seen, strict=True) if count}

    def __iter__(self) -> Iterator[list[str]]:
        self.passes += 1
        generator = np.random.default_rng([self.seed, self.passes])
        for start, end in pairwise(self.bags.offsets.tolist()):
            # gensim cuts a sentence at 10,000 words; no bag comes near it.
            words = np.repeat(self.bags.indices[start:end], self.repeats[start:end])
            generator.shuffle(words)
            yield [self.tokens[index] for index in words.tolist()]
            self.bar.update()


def train_word_vectors(
    bags: Bags, n_words: int, seed: int = 0, size: int = GEOMETRY.lyric_size, epochs: int = 5
) -> np.ndarray:
    """Train vectors for the words of a header on bags of words.

    A bag has no order, so its words are shuffled; what stands near a word is then a random draw of its bag.

    Parameters
    ----------
    bags : Bags
    n_words : int
        Words of the header.
    seed : int
    size : int
        Dimensions of a vector.
    epochs : int

    Returns
    -------
    numpy.ndarray
        Shape ``(n_words, size)``, float32; a row of NaN for a word that no bag has. The same
        for the same arguments, whatever the machine's number of cores.
    """
    from gensim.models import Word2Vec

    vectors = np.full((n_words, size), np.nan, np.float32)
    if not len(bags):
        return vectors
    with tqdm(desc="lyrics: word vectors", total=len(bags) * epochs, unit="bag", mininterval=5.0) as bar:
        sentences = _ShuffledBags(bags, n_words, seed, bar)
        # With one worker the order of updates, and so the result, is always the same.
        model = Word2Vec(vector_size=size, window=10, min_count=1, negative=5, seed=seed, workers=1)
        model.build_vocab_from_freq(sentences.frequencies(), corpus_count=len(bags))
        model.train(sentences, total_examples=len(bags), epochs=epochs)
    for token, row in model.wv.key_to_index.items():
        vectors[int(token) - 1] = model.wv.vectors[row]
    return vectors


def known(vectors: np.ndarray) -> np.ndarray:
    """Return which words have a vector: shape ``(n_words,)``, bool."""
    return np.isfinite(vectors).all(axis=1)


@dataclass(frozen=True)
class HeaderVectors:
    """Vectors of a header's words.

    Attributes
    ----------
    vectors : numpy.ndarray
        Shape ``(n_words, size)``, float32; a row of NaN for a word without a vector.
    by_stem : int
        Words whose own vector was not to be had, so that the stem's stands for it.
    """

    vectors: np.ndarray
    by_stem: int


def header_vectors(
    stems: Sequence[str], words: Sequence[str], found: Mapping[str, np.ndarray], size: int = GEOMETRY.lyric_size
) -> HeaderVectors:
    """Return each word's vector, or its stem's where the word has none.

    Parameters
    ----------
    stems, words : sequence of str
        The header as it is, and un-stemmed.
    found : mapping of str to numpy.ndarray
        Vectors of shape ``(size,)``, by word.
    size : int
    """
    vectors = np.full((len(stems), size), np.nan, np.float32)
    by_stem = 0
    for row, (stem, word) in enumerate(zip(stems, words, strict=True)):
        vector = found.get(word)
        if vector is None and stem in found:
            vector, by_stem = found[stem], by_stem + 1
        if vector is not None:
            vectors[row] = vector
    return HeaderVectors(vectors, by_stem)
