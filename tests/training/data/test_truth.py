from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.targets import make_target
from training.data.targets.target import CLASS_WEIGHTS

GENRE = make_target("genre", tuple("abcd"))
TAGS = make_target("tags", ("x", "y"))
FACTORS = make_target("factors", ("0", "1"))
THERE = np.array([True, True, False])


def test_smoothing_spreads_a_share_over_all_classes() -> None:
    # 0.2 over 4 classes is 0.05 each; the true one keeps 0.8 besides.
    soft = GENRE.soft_truth(np.array([2, 0, -1]), THERE, 0.2)
    wanted = [[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05], [0.0, 0.0, 0.0, 0.0]]
    np.testing.assert_allclose(soft, wanted, atol=1e-7)
    assert soft.dtype == np.float32


def test_smoothing_spreads_a_share_over_yes_and_no_of_a_tag() -> None:
    soft = TAGS.soft_truth(np.array([[1, 0], [1, 1], [1, 1]]), THERE, 0.2)
    np.testing.assert_allclose(soft, [[0.9, 0.1], [0.9, 0.9], [0.0, 0.0]], atol=1e-7)


def test_factors_are_as_they_are() -> None:
    values = np.array([[1.5, -2.0], [0.0, 3.0], [7.0, 7.0]])
    assert FACTORS.soft_truth(values, THERE, 0.2).tolist() == [[1.5, -2.0], [0.0, 3.0], [0.0, 0.0]]


def test_class_weights_by_hand() -> None:
    totals = np.array([40.0, 10.0, 0.0, 50.0])
    assert GENRE.class_weights(totals, 100, "none").tolist() == [1, 1, 1, 1]
    # 100 examples, 3 classes seen: 100 / (3 * 40), 100 / (3 * 10), and 100 / (3 * 50).
    np.testing.assert_allclose(GENRE.class_weights(totals, 100, "balanced"), [0.83333, 3.33333, 1, 0.66667], rtol=1e-4)
    # 1 / sqrt(n), times 100 / (sqrt(40) + sqrt(10) + sqrt(50)) = 100 / 16.55790.
    np.testing.assert_allclose(GENRE.class_weights(totals, 100, "sqrt"), [0.95492, 1.90983, 1, 0.85410], rtol=1e-4)


def test_tag_weights_by_hand() -> None:
    # 10 of 50 have x: 40 against 10. All have y: 1 against 50, to stay above 0.
    totals = np.array([10.0, 50.0])
    np.testing.assert_allclose(TAGS.class_weights(totals, 50, "balanced"), [4, 0.02])
    np.testing.assert_allclose(TAGS.class_weights(totals, 50, "sqrt"), [2, 0.02**0.5], rtol=1e-6)


@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=4).filter(any), st.sampled_from(CLASS_WEIGHTS))
def test_the_mean_weight_over_the_examples_is_one(counts: list[int], rule: str) -> None:
    totals = np.array(counts, float)
    weights = GENRE.class_weights(totals, totals.sum(), rule)
    assert (weights > 0).all()
    assert (totals * weights).sum() / totals.sum() == pytest.approx(1, rel=1e-5)
    order = np.argsort(totals[totals > 0], kind="stable")
    assert (np.diff(weights[totals > 0][order]) <= 1e-6).all()


def test_an_example_without_the_target_has_no_weight() -> None:
    of_classes = np.array([1, 2, 3, 4], np.float32)
    weights = GENRE.example_weights(np.array([3, 0, -1]), THERE, np.array([0.5, 1, 1]), of_classes)
    assert weights.tolist() == [2, 1, 0]
    # The weights of tags weigh within an example, not the example.
    weights = TAGS.example_weights(np.zeros((3, 2)), THERE, np.array([0.5, 1, 1]), np.array([5.0, 6.0]))
    assert weights.tolist() == [0.5, 1, 0]
