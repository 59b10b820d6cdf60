"""Vectors of the words in a header, trained on the bags of words or looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from msd_spark.core.schemas import GEOMETRY
from msd_spark.lyrics.bags import Bags

MAX_REPEATS = 5
"""Occurrences of a word per bag that training uses; a chorus would dominate otherwise."""


class _ShuffledBags:
    """The bags as gensim sentences, shuffled reproducibly in each pass."""

    def __init__(self, bags: Bags, n_words: int, seed: int, bar: tqdm) -> None:
        self.bags, self.seed, self.bar, self.passes = bags, seed, bar, 0
        self.repeats = np.minimum(bags.counts, MAX_REPEATS)
        self.tokens = [str(index) for index in range(n_words + 1)]

    def frequencies(self) -> dict[str, int]:
        """Return the occurrences per pass of each word that occurs."""
        counts = np.bincount(self.bags.indices, self.repeats, len(self.tokens)).astype(int)
        return {token: int(count) for token, count in zip(self.tokens, counts, strict=True) if count}

    def __iter__(self) -> Iterator[list[str]]:
        self.passes += 1
        generator = np.random.default_rng([self.seed, self.passes])
        for start, end in pairwise(self.bags.offsets.tolist()):
            # gensim truncates sentences to 10,000 words; all bags are far smaller.
            words = np.repeat(self.bags.indices[start:end], self.repeats[start:end])
            generator.shuffle(words)
            yield [self.tokens[index] for index in words.tolist()]
            self.bar.update()


def train_word_vectors(
    bags: Bags, n_words: int, seed: int = 0, size: int = GEOMETRY.lyric_size, epochs: int = 5
) -> np.ndarray:
    """Train word2vec on bags of words; words without occurrences get NaN.

    Bags have no order, so their words are shuffled: the context of a word is a random sample of its bag. The result has
    the shape ``(n_words, size)``, float32, and is the same on any number of cores.
    """
    from gensim.models import Word2Vec

    vectors = np.full((n_words, size), np.nan, np.float32)
    if not len(bags):
        return vectors
    with tqdm(desc="lyrics: word vectors", total=len(bags) * epochs, unit="bag", mininterval=5.0) as bar:
        sentences = _ShuffledBags(bags, n_words, seed, bar)
        # One worker keeps the order of updates, and so the result, reproducible.
        model = Word2Vec(vector_size=size, window=10, min_count=1, negative=5, seed=seed, workers=1)
        model.build_vocab_from_freq(sentences.frequencies(), corpus_count=len(bags))
        model.train(sentences, total_examples=len(bags), epochs=epochs)
    for token, row in model.wv.key_to_index.items():
        vectors[int(token) - 1] = model.wv.vectors[row]
    return vectors


def known(vectors: np.ndarray) -> np.ndarray:
    """Return which words have a vector: shape ``(n_words,)``, bool."""
    return np.isfinite(vectors).all(axis=1)


def header_vectors(
    stems: Sequence[str], words: Sequence[str], vectors: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, int]:
    """Return the vector of each word or else of its stem, and the number of stems used.

    `vectors` is not empty.
    """
    size = len(next(iter(vectors.values())))
    rows = np.full((len(stems), size), np.nan, np.float32)
    by_stem = 0
    for row, (stem, word) in enumerate(zip(stems, words, strict=True)):
        if word in vectors:
            rows[row] = vectors[word]
        elif stem in vectors:
            rows[row], by_stem = vectors[stem], by_stem + 1
    return rows, by_stem
