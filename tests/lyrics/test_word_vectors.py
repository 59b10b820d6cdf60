from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from msd_spark.lyrics.bags import Bags
from msd_spark.lyrics.word_vectors import MAX_REPEATS, header_vectors, known, train_word_vectors
from tests.support.lyric_samples import bags

N_WORDS = 10


def two_topics() -> Bags:
    generator = np.random.default_rng(5)
    topics = ([1, 2, 3, 4], [5, 6, 7, 8])
    return bags(
        *({int(word): 1 + number % 7 for word in generator.permutation(topics[number % 2])} for number in range(150))
    )


def test_word_vectors_of_a_topic_are_nearer_to_each_other_than_to_another_topic() -> None:
    vectors = train_word_vectors(two_topics(), N_WORDS, size=8, epochs=20)
    assert vectors.shape == (10, 8)
    assert vectors.dtype == np.float32
    assert known(vectors).tolist() == [True] * 8 + [False, False]
    unit = vectors[:8] / np.linalg.norm(vectors[:8], axis=1, keepdims=True)
    cosine = unit @ unit.T
    within = np.concatenate([cosine[:4, :4][~np.eye(4, dtype=bool)], cosine[4:, 4:][~np.eye(4, dtype=bool)]])
    assert within.min() > cosine[:4, 4:].max()


def test_word_vectors_depend_only_on_the_seed() -> None:
    first = train_word_vectors(two_topics(), N_WORDS, seed=1, size=4, epochs=1)
    again = train_word_vectors(two_topics(), N_WORDS, seed=1, size=4, epochs=1)
    other = train_word_vectors(two_topics(), N_WORDS, seed=2, size=4, epochs=1)
    assert np.array_equal(first, again, equal_nan=True)
    assert not np.array_equal(first, other, equal_nan=True)


def test_word_vectors_are_the_same_in_another_process_with_another_hash_seed() -> None:
    program = (
        "from tests.lyrics.test_word_vectors import *;"
        "print(train_word_vectors(two_topics(), N_WORDS, seed=1, size=4, epochs=1).tobytes().hex())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = train_word_vectors(two_topics(), N_WORDS, seed=1, size=4, epochs=1)
    assert bytes.fromhex(answer.stdout.strip()) == here.tobytes()


def test_repeats_of_a_word_are_limited() -> None:
    often = bags({1: 4000, 2: MAX_REPEATS}, {2: 1, 3: 2})
    capped = bags({1: MAX_REPEATS, 2: MAX_REPEATS}, {2: 1, 3: 2})
    first, second = (train_word_vectors(corpus, 3, size=4, epochs=1) for corpus in (often, capped))
    assert np.array_equal(first, second)


def test_without_bags_no_word_has_a_vector() -> None:
    vectors = train_word_vectors(bags(), N_WORDS, size=4)
    assert vectors.shape == (10, 4)
    assert not known(vectors).any()


def test_a_word_without_a_vector_uses_that_of_its_stem() -> None:
    known_vectors = {"babies": np.array([1, 2], np.float32), "danc": np.array([3, 4], np.float32)}
    known_vectors |= {"go": np.array([5, 6], np.float32), "going": np.array([7, 8], np.float32)}
    stems, words = ["babi", "danc", "go", "xyz", "going"], ["babies", "dancing", "going", "xyzzy", "going"]
    vectors, by_stem = header_vectors(stems, words, known_vectors)
    assert vectors[[0, 1, 2, 4]].tolist() == [[1, 2], [3, 4], [7, 8], [7, 8]]
    assert np.isnan(vectors[3]).all()
    assert by_stem == 1
    assert vectors.dtype == np.float32
