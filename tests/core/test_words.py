"""Bags of words as inputs of fixed width."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer

from msd_spark.core.words import WORDS, inverse_document_frequencies, word_columns, word_weights

LISTS = pa.list_(pa.int32())


def columns(indices: list[list[int] | None], counts: list[list[int] | None], tracks: list[int]) -> list[np.ndarray]:
    frequencies = inverse_document_frequencies(np.array(tracks))
    return list(word_columns(pa.array(indices, LISTS), pa.array(counts, LISTS), frequencies).values())


def test_frequencies_are_those_of_scikit_learn() -> None:
    bags = np.array([[1, 1, 0], [2, 0, 0], [1, 0, 3]])
    expected = TfidfTransformer().fit(bags).idf_
    assert inverse_document_frequencies((bags > 0).sum(axis=0)) == pytest.approx(expected)


def test_words_are_sorted_by_weight_then_index() -> None:
    # Word 1 is in every track; words 2 and 3 are equally rare.
    indices, counts = columns([[1, 2, 3], None, []], [[2, 1, 1], None, []], [7, 1, 1])
    assert indices[0, :4].tolist() == [2, 3, 1, 0]
    assert counts[0, :4].tolist() == [1, 1, 2, 0]
    assert not indices[1:].any()
    assert not counts[1:].any()
    assert (indices.dtype, counts.dtype) == (np.int32, np.float32)


def test_a_word_outside_the_list_is_an_error() -> None:
    with pytest.raises(ValueError, match="a bag has word 4; the list has words 1 to 3"):
        columns([[4]], [[1]], [1, 1, 1])


@given(st.dictionaries(st.integers(1, 400), st.integers(1, 20), max_size=350), st.integers(0, 9))
def test_the_heaviest_words_are_kept_in_any_order_of_the_bag(bag: dict[int, int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    tracks = generator.integers(0, 1000, 400).tolist()
    words = list(generator.permutation(list(bag)).astype(int)) if bag else []
    shuffled = columns([words], [[bag[word] for word in words]], tracks)
    in_order = columns([sorted(bag)], [[bag[word] for word in sorted(bag)]], tracks)
    assert all(np.array_equal(one, other) for one, other in zip(shuffled, in_order, strict=True))
    indices, counts = (values[0] for values in in_order)
    assert np.count_nonzero(indices) == min(len(bag), WORDS)
    assert {word: int(count) for word, count in zip(indices, counts, strict=True) if word}.items() <= bag.items()


def test_weights_of_words_are_those_of_scikit_learn_and_0_for_rare_ones() -> None:
    # Word 1 is in all six bags, word 2 in five, word 3 in four, which is too rare; 0 is padding.
    bags = np.zeros((6, 3), int)
    bags[:, 0], bags[:5, 1], bags[:4, 2] = 1, 1, 1
    indices = np.concatenate([np.flatnonzero(bag) + 1 for bag in bags] + [np.zeros(9, int)])
    expected = TfidfTransformer().fit(bags).idf_
    assert word_weights(indices, 6, 3)["weight"] == pytest.approx([0, expected[0], expected[1], 0])
    assert word_weights(np.zeros(0, int), 0, 2)["weight"] == [0, 0, 0]
