"""Bags of words as model inputs of fixed width."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

WORDS = 256
"""Maximum number of distinct words in an example; 99 % of the bags of musiXmatch have fewer."""

SMALLEST_DOCUMENT_FREQUENCY = 5
"""A word in fewer songs of the train split has weight 0 in a model."""


def inverse_document_frequencies(word_tracks: np.ndarray) -> np.ndarray:
    """Return the smoothed inverse document frequency of each word, float64.

    The number of tracks with the most frequent word replaces the number of documents, so that the word list alone
    determines the result.

    Parameters
    ----------
    word_tracks : numpy.ndarray
        Shape ``(n_words,)``: number of tracks with each word of ``lyric_words/``, in the order of their indices.
    """
    counts = np.asarray(word_tracks, float)
    return np.asarray(np.log((1 + counts.max(initial=0)) / (1 + counts)) + 1)


def word_columns(indices: pa.Array, counts: pa.Array, frequencies: np.ndarray) -> dict[str, np.ndarray]:
    """Return bags of words as ``word_indices`` and ``word_counts``, each ``(n, WORDS)``.

    The words of a bag are sorted by tf-idf, highest first, then by index, and the first `WORDS` are kept. The padding,
    and a track without lyrics, has index 0 and count 0.

    Parameters
    ----------
    indices, counts : pyarrow.Array
        Lists of ``lyrics/``: indices from 1 and counts; null for a track without lyrics.
    frequencies : numpy.ndarray
        Result of `inverse_document_frequencies`. A word beyond its end raises `ValueError`.
    """
    of_indices, of_counts = np.zeros((len(indices), WORDS), np.int32), np.zeros((len(indices), WORDS), np.float32)
    for row, (words, numbers) in enumerate(zip(indices, counts, strict=True)):
        if not words.is_valid:
            continue
        bag, amounts = words.values.to_numpy(), numbers.values.to_numpy()
        if len(bag) and not 1 <= bag.min() <= bag.max() <= len(frequencies):
            raise ValueError(f"a bag has word {bag.max()}; the list has words 1 to {len(frequencies)}")
        chosen = np.lexsort((bag, -amounts * frequencies[bag - 1]))[:WORDS]
        of_indices[row, : len(chosen)], of_counts[row, : len(chosen)] = bag[chosen], amounts[chosen]
    return {"word_indices": of_indices, "word_counts": of_counts}


def word_weights(indices: np.ndarray, n_bags: int, n_words: int) -> dict[str, list[float]]:
    """Return the weight of each word in a model, in the form of a normalisation.

    There are ``n_words + 1`` weights. A weight is the smoothed inverse document frequency, 0 for a word in fewer than
    `SMALLEST_DOCUMENT_FREQUENCY` bags; that of index 0, the padding, is 0.

    Parameters
    ----------
    indices : numpy.ndarray
        Shape ``(n,)``: the indices of all words in all bags of the train split, each once per bag; 0 is ignored.
    """
    bags = np.bincount(np.asarray(indices, np.int64), minlength=n_words + 1).astype(float)
    weights = np.where(bags < SMALLEST_DOCUMENT_FREQUENCY, 0.0, np.log((1 + n_bags) / (1 + bags)) + 1)
    weights[0] = 0.0
    return {"weight": weights.tolist()}
