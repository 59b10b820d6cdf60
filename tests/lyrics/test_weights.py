from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from msd_spark.lyrics.bags import Bags
from msd_spark.lyrics.settings import IDF, SHARE, SIF, WEIGHTS
from msd_spark.lyrics.weights import LyricTransform, WordStatistics, common_component, word_weights
from tests.support.lyric_samples import bags

NAN = np.nan
VECTORS = np.array([[1, 0], [0, 2], [NAN, NAN], [1, NAN]], np.float32)
BAGS = st.lists(st.dictionaries(st.integers(1, 12), st.integers(1, 1000), min_size=1), min_size=1, max_size=8)


def transform(kind: str, corpus: Bags, vectors: np.ndarray, a: float = 1e-3) -> LyricTransform:
    return LyricTransform(kind, vectors, word_weights(kind, WordStatistics.of(corpus, len(vectors)), a))


def random_vectors(n_words: int = 12, size: int = 4) -> np.ndarray:
    vectors = np.random.default_rng(3).normal(size=(n_words, size)).astype(np.float32)
    vectors[::3] = NAN
    return vectors


def test_share_averages_over_the_known_occurrences() -> None:
    # Words 1 and 2 are known, 3 + 1 = 4 of 8 occurrences: 3/4 (1, 0) + 1/4 (0, 2) = (0.75, 0.5).
    corpus = bags({1: 3, 2: 1, 3: 4})
    lyrics = transform(SHARE, corpus, VECTORS)(corpus)
    assert lyrics.vectors.tolist() == [[0.75, 0.5]]
    assert lyrics.coverage.tolist() == [4 / 8]


def test_idf_gives_rare_words_more_weight() -> None:
    # Three bags; word 1 is in all of them, word 2 in one: idf(1) = ln(4/4) + 1 = 1, idf(2) = ln(4/2) + 1.
    corpus = bags({1: 3, 2: 1, 3: 4}, {1: 1}, {1: 2})
    rare = log(2) + 1  # 1.6931
    weighed = transform(IDF, corpus, VECTORS)
    assert weighed.weights[:2] == pytest.approx([1, rare])
    lyrics = weighed(corpus)
    # First bag: (3 · 1 · (1, 0) + 1 · rare · (0, 2)) / (3 + rare) = (0.6392, 0.7216).
    assert lyrics.vectors[0] == pytest.approx([3 / (3 + rare), 2 * rare / (3 + rare)])
    assert lyrics.vectors[0] == pytest.approx([0.63923, 0.72154], abs=1e-5)
    # A bag of one word is that word, whatever its weight; coverage counts occurrences, not weights.
    assert lyrics.vectors[1:].tolist() == [[1, 0], [1, 0]]
    assert lyrics.coverage.tolist() == [4 / 8, 1, 1]


def test_sif_weights_by_corpus_frequency_and_removes_the_common_component() -> None:
    # Ten occurrences: p(1) = 6/10, p(2) = 2/10, p(3) = 2/10. With a = 0.2 the weights are
    # 0.2/0.8 = 1/4, 0.2/0.4 = 1/2, 1/2. Word 3 has no vector.
    corpus = bags({1: 4, 3: 2}, {1: 2, 2: 2})
    weighed = transform(SIF, corpus, VECTORS, a=0.2)
    assert weighed.weights[:3] == pytest.approx([1 / 4, 1 / 2, 1 / 2])
    before = weighed(corpus)
    # First bag: 4 · 1/4 (1, 0) / 4 = (1/4, 0). Second: (2 · 1/4 (1, 0) + 2 · 1/2 (0, 2)) / 4 = (1/8, 1/2).
    assert before.vectors == pytest.approx(np.array([[1 / 4, 0], [1 / 8, 1 / 2]]))
    assert before.coverage.tolist() == [4 / 6, 1]
    # Second moment: [[1/16 + 1/64, 1/16], [1/16, 1/4]] = 1/64 [[5, 4], [4, 16]]; its greatest eigenvalue is
    # (21 + √(11² + 4 · 4²)) / 2 = (21 + √185) / 2, with the eigenvector (4, greatest - 5).
    assert before.second_moment() == pytest.approx(np.array([[5, 4], [4, 16]]) / 64)
    direction = np.array([4, (21 + sqrt(185)) / 2 - 5])
    direction /= sqrt(direction @ direction)
    after = replace(weighed, component=common_component(before.second_moment()))
    assert after.component == pytest.approx(direction, abs=1e-6)
    # √185 = 13.60147, so d = (4, 12.30073) / 12.93476 = (0.30924, 0.95098). Of the first bag 0.25 · 0.30924 d
    # goes: (0.25 - 0.07731 · 0.30924, -0.07731 · 0.95098) = (0.22609, -0.07352). What is left is along (-d2, d1).
    across = np.array([-direction[1], direction[0]])
    assert after(corpus).vectors == pytest.approx(np.outer(before.vectors @ across, across), abs=1e-6)
    assert after(corpus).vectors[0] == pytest.approx([0.22609, -0.07352], abs=1e-5)


def test_idf_equals_scikit_learn() -> None:
    corpus = bags({1: 3, 2: 1}, {1: 1, 4: 2}, {1: 2, 3: 5}, {3: 1})
    expected = TfidfTransformer(smooth_idf=True).fit(corpus.matrix(5)).idf_
    assert word_weights(IDF, WordStatistics.of(corpus, 5)) == pytest.approx(expected)


def test_the_common_component_is_the_first_singular_vector() -> None:
    rows = np.random.default_rng(8).normal(size=(40, 6)) + 0.5
    expected = TruncatedSVD(1, algorithm="arpack", random_state=0).fit(rows).components_[0]
    component = common_component(rows.T @ rows)
    assert abs(component @ expected) == pytest.approx(1, abs=1e-6)
    assert component[np.argmax(np.abs(component))] > 0
    assert np.array_equal(component, common_component((-rows).T @ -rows))


def test_the_common_component_of_zeros_is_zero() -> None:
    assert common_component(np.zeros((3, 3))).tolist() == [0, 0, 0]


@given(BAGS, st.integers(0, 8))
def test_statistics_of_parts_add_up(words: list[dict[int, int]], cut: int) -> None:
    whole = WordStatistics.of(bags(*words), 12)
    sum_of_parts = WordStatistics.of(bags(*words[:cut]), 12) + WordStatistics.of(bags(*words[cut:]), 12)
    assert whole.n_bags == sum_of_parts.n_bags == len(words)
    assert np.array_equal(whole.document_frequency, sum_of_parts.document_frequency)
    assert np.array_equal(whole.occurrences, sum_of_parts.occurrences)


@pytest.mark.parametrize("kind", WEIGHTS)
@given(words=BAGS)
def test_every_weighting_equals_its_formula(kind: str, words: list[dict[int, int]]) -> None:
    corpus, vectors = bags(*words), random_vectors()
    weighed = transform(kind, corpus, vectors, a=0.01)
    lyrics = weighed(corpus)
    assert (lyrics.coverage >= 0).all()
    assert (lyrics.coverage <= 1).all()
    for row, content in enumerate(words):
        known = {index: count for index, count in content.items() if np.isfinite(vectors[index - 1]).all()}
        assert lyrics.coverage[row] == pytest.approx(sum(known.values()) / sum(content.values()))
        assert lyrics.present[row] == bool(known)
        total = sum(count * (1 if kind == SIF else weighed.weights[index - 1]) for index, count in known.items())
        expected = np.zeros(4)
        for index, count in known.items():
            expected += count * weighed.weights[index - 1] * vectors[index - 1].astype(float) / total
        assert lyrics.vectors[row] == pytest.approx(expected, abs=1e-9)


@given(BAGS)
def test_vectors_have_no_removed_component(words: list[dict[int, int]]) -> None:
    corpus = bags(*words)
    weighed = transform(SIF, corpus, random_vectors())
    after = replace(weighed, component=common_component(weighed(corpus).second_moment()))
    assert after.component is not None
    assert after(corpus).vectors @ after.component.astype(float) == pytest.approx(np.zeros(len(words)), abs=1e-5)


@given(BAGS)
def test_the_vector_of_a_bag_does_not_depend_on_other_bags(words: list[dict[int, int]]) -> None:
    corpus = bags(*words)
    weighed = transform(IDF, corpus, random_vectors())
    assert weighed(bags(words[0])).vectors[0] == pytest.approx(weighed(corpus).vectors[0])


def test_a_word_with_half_a_vector_is_unknown() -> None:
    corpus = bags({4: 1, 1: 1}, {3: 2}, {3: 1, 4: 9}, {})
    lyrics = transform(SHARE, corpus, VECTORS)(corpus)
    assert lyrics.vectors.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert lyrics.present.tolist() == [True, False, False, False]
    assert lyrics.coverage.tolist() == [0.5, 0, 0, 0]


def test_the_fingerprint_depends_on_everything_that_determines_a_vector() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    transform = LyricTransform(SHARE, vectors, np.ones(2))
    changed = vectors.copy()
    changed[1, 2] = np.nextafter(changed[1, 2], np.float32(9))
    component = np.array([1, 0, 0], np.float32)
    others = [
        transform.fingerprint(["a", "c"]),
        transform.fingerprint(["b", "a"]),
        replace(transform, vectors=changed).fingerprint(["a", "b"]),
        replace(transform, weights=np.array([1, 1.5])).fingerprint(["a", "b"]),
        replace(transform, component=component).fingerprint(["a", "b"]),
        replace(transform, component=-component).fingerprint(["a", "b"]),
        # idf and sif divide by different sums, even where the weights are equal.
        replace(transform, kind=SIF).fingerprint(["a", "b"]),
    ]
    name = transform.fingerprint(["a", "b"])
    assert len({name, *others}) == 1 + len(others)
    assert replace(transform, vectors=np.asfortranarray(vectors)).fingerprint(iter(["a", "b"])) == name
