from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.musixmatch import BagOfWords
from msd_spark.word_vectors import MAX_REPEATS, fingerprint, known, lyric_vector, train_word_vectors

NAN = np.nan
VECTORS = np.array([[1, 0], [0, 2], [NAN, NAN], [1, NAN]], np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def bag(words: dict[int, int]) -> BagOfWords:
    return BagOfWords("TRAAAAV128F421A322", 0, ints(*words), ints(*words.values()))


def test_lyric_vector_weights_each_word_by_its_share_of_the_known_occurrences() -> None:
    # Words 1 and 2 are known, 3 + 1 = 4 of 8 occurrences: 3/4 (1, 0) + 1/4 (0, 2) = (0.75, 0.5).
    vector, coverage = lyric_vector(ints(1, 2, 3), ints(3, 1, 4), VECTORS)
    assert vector is not None
    assert vector.dtype == np.float32
    assert vector.tolist() == [0.75, 0.5]
    assert coverage == 4 / 8


def test_a_word_with_half_a_vector_is_unknown() -> None:
    assert known(VECTORS).tolist() == [True, True, False, False]
    vector, coverage = lyric_vector(ints(4, 1), ints(1, 1), VECTORS)
    assert vector is not None
    assert (vector.tolist(), coverage) == ([1.0, 0.0], 0.5)


@pytest.mark.parametrize("words", [{3: 2}, {3: 1, 4: 9}, {}])
def test_a_bag_without_known_words_has_no_vector_and_no_coverage(words: dict[int, int]) -> None:
    vector, coverage = lyric_vector(ints(*words), ints(*words.values()), VECTORS)
    assert vector is None
    assert coverage == 0.0


@given(st.dictionaries(st.integers(1, 30), st.integers(1, 2**31 - 1), min_size=1))
def test_the_order_of_words_does_not_matter_and_coverage_is_a_share(words: dict[int, int]) -> None:
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(30, 4)).astype(np.float32)
    vectors[::3] = NAN
    order = generator.permutation(len(words))
    indices, counts = ints(*words), ints(*words.values())
    vector, coverage = lyric_vector(indices, counts, vectors)
    again, coverage_again = lyric_vector(indices[order], counts[order], vectors)
    has_known = any((index - 1) % 3 for index in words)
    assert (vector is not None) == has_known
    assert 0 <= coverage <= 1
    assert (coverage > 0) == has_known
    assert coverage == pytest.approx(coverage_again)
    if vector is not None and again is not None:
        assert vector == pytest.approx(again, abs=1e-6)
        # A weighted mean lies between the smallest and the greatest number of each dimension.
        used = vectors[[index - 1 for index in words if (index - 1) % 3]]
        assert (vector >= used.min(axis=0) - 1e-5).all()
        assert (vector <= used.max(axis=0) + 1e-5).all()


def two_topics() -> list[BagOfWords]:
    generator = np.random.default_rng(5)
    topics = ([1, 2, 3, 4], [5, 6, 7, 8])
    return [
        bag({int(word): 1 + number % 7 for word in generator.permutation(topics[number % 2])}) for number in range(150)
    ]


WORDS = [f"word{number}" for number in range(1, 11)]


def test_word_vectors_of_a_topic_are_nearer_to_each_other_than_to_another_topic() -> None:
    vectors = train_word_vectors(two_topics(), WORDS, size=8, epochs=20)
    assert vectors.shape == (10, 8)
    assert vectors.dtype == np.float32
    assert known(vectors).tolist() == [True] * 8 + [False, False]
    unit = vectors[:8] / np.linalg.norm(vectors[:8], axis=1, keepdims=True)
    cosine = unit @ unit.T
    within = np.concatenate([cosine[:4, :4][~np.eye(4, dtype=bool)], cosine[4:, 4:][~np.eye(4, dtype=bool)]])
    assert within.min() > cosine[:4, 4:].max()


def test_word_vectors_depend_on_the_seed_and_on_nothing_else() -> None:
    first = train_word_vectors(two_topics(), WORDS, seed=1, size=4, epochs=1)
    again = train_word_vectors(two_topics(), WORDS, seed=1, size=4, epochs=1)
    other = train_word_vectors(two_topics(), WORDS, seed=2, size=4, epochs=1)
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)


def test_word_vectors_are_the_same_in_another_process_with_another_hash_seed() -> None:
    program = (
        "from tests.unit.test_word_vectors import *;"
        "print(train_word_vectors(two_topics(), WORDS, seed=1, size=4, epochs=1).tobytes().hex())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = train_word_vectors(two_topics(), WORDS, seed=1, size=4, epochs=1)
    assert bytes.fromhex(answer.stdout.strip()) == here.tobytes()


def test_a_chorus_counts_only_so_often() -> None:
    often = [bag({1: 4000, 2: MAX_REPEATS}), bag({2: 1, 3: 2})]
    capped = [bag({1: MAX_REPEATS, 2: MAX_REPEATS}), bag({2: 1, 3: 2})]
    first, second = (train_word_vectors(bags, WORDS[:3], size=4, epochs=1) for bags in (often, capped))
    assert np.array_equal(first, second)


def test_without_bags_no_word_has_a_vector() -> None:
    vectors = train_word_vectors([], WORDS, size=4)
    assert vectors.shape == (10, 4)
    assert not known(vectors).any()


def test_fingerprint_names_words_and_numbers_and_not_how_they_lie_in_memory() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    name = fingerprint(["a", "b"], vectors)
    changed = vectors.copy()
    changed[1, 2] = np.nextafter(changed[1, 2], np.float32(9))
    assert name == fingerprint(iter(["a", "b"]), np.asfortranarray(vectors.astype(np.float64)))
    assert (
        len(
            {name, fingerprint(["a", "c"], vectors), fingerprint(["b", "a"], vectors), fingerprint(["a", "b"], changed)}
        )
        == 4
    )
