from __future__ import annotations

import json
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.metrics import log_loss as log_loss_of_sklearn

from tests.support.predictions import predictions
from training.evaluation.bootstrap import Artists
from training.evaluation.classification import (
    TRIVIAL,
    calibration_metrics,
    classification_metrics,
    classification_statistic,
    ordinal_metrics,
)

CLASSES = ["A", "B", "C"]
TRUE = np.array([0, 0, 1, 1, 1])
SCORES = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])


def test_five_examples_by_hand() -> None:
    # Predicted: A B B B A. A: 1 right of 2 predicted and 2 true. B: 2 right of 3 predicted and 3 true. C: no example.
    metrics = classification_metrics(TRUE, SCORES, CLASSES)
    f1_a, f1_b = 1 / 2, 2 / 3
    # Sorted by A's probability: A B A B B, precision 1/1 and 2/3 at the As. By B's: B B A B A, 1/1, 2/2 and 3/4.
    ap_a, ap_b = (1 + 2 / 3) / 2, (1 + 1 + 3 / 4) / 3
    # Pairs of an A and a B in which the A has more of A: .8 beats three, .3 beats two: 5 of 6. B's: .6 and .1 as the
    # others' scores: .7 beats both, .8 both, .4 one: 5 of 6.
    auc = 5 / 6
    # All 15 pairs by probability: .8 A+ .8 B+ (tied), .7+, .6-, .5-, .4+, .3+, .2-, .1 (seven, none positive).
    micro = (2 / 5) * (2 / 2) + (1 / 5) * (3 / 3) + (1 / 5) * (4 / 6) + (1 / 5) * (5 / 7)
    expected = {
        "examples": 5,
        "classes_without_examples": 1,
        "accuracy": 3 / 5,
        "balanced_accuracy": (1 / 2 + 2 / 3) / 2,
        "macro_f1": (f1_a + f1_b) / 2,
        "micro_f1": 3 / 5,
        "weighted_f1": (2 * f1_a + 3 * f1_b) / 5,
        "macro_average_precision": (ap_a + ap_b) / 2,
        "micro_average_precision": micro,
        "macro_roc_auc": auc,
        "log_loss": -(log(0.8) + log(0.3) + log(0.7) + log(0.8) + log(0.4)) / 5,
        # Confidences .8 right, .6 wrong, .7 right, .8 right, .5 wrong; bins of 1/15 hold .8 twice, the others alone.
        "expected_calibration_error": (2 * 0.2 + 0.6 + 0.3 + 0.5) / 5,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics["confusion_matrix"] == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    rows = metrics["by_class"]
    assert rows["A"] == pytest.approx(
        {"support": 2, "precision": 1 / 2, "recall": 1 / 2, "f1": f1_a, "average_precision": ap_a, "roc_auc": auc}
    )
    assert rows["B"] == pytest.approx(
        {"support": 3, "precision": 2 / 3, "recall": 2 / 3, "f1": f1_b, "average_precision": ap_b, "roc_auc": auc}
    )
    undefined = dict.fromkeys(("precision", "recall", "f1", "average_precision", "roc_auc"))
    assert rows["C"] == {"support": 0, **undefined}


def test_a_predicted_class_without_examples_lowers_recall_but_is_not_in_macro_metrics() -> None:
    # Predicted: C A B. A has one right of two: recall 1/2, precision 1, F1 2/3.
    scores = np.array([[0.1, 0.1, 0.8], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    metrics = classification_metrics(np.array([0, 0, 1]), scores, CLASSES)
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert metrics["by_class"]["C"]["precision"] == 0
    assert metrics["by_class"]["C"]["f1"] is None


def test_metrics_of_a_single_class_are_undefined() -> None:
    metrics = classification_metrics(np.array([0, 0]), np.array([[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]), CLASSES)
    assert {name for name in metrics if metrics[name] is None} == {*TRIVIAL, "macro_roc_auc"} - {"off_by_one_accuracy"}
    assert metrics["by_class"]["A"]["average_precision"] is None
    assert metrics["by_class"]["A"]["recall"] == 1 / 2
    assert metrics["log_loss"] > 0


@given(st.integers(0, 99), st.integers(1, 8), st.integers(2, 6))
def test_metrics_of_few_examples_have_no_nan(seed: int, n: int, size: int) -> None:
    made = predictions("genre", n, size, seed)
    json.dumps(classification_metrics(made.true, made.scores, [str(k) for k in range(size)]), allow_nan=False)


@given(st.integers(0, 999), st.integers(0, 60), st.integers(2, 6))
def test_metrics_equal_those_of_sklearn_if_every_class_has_an_example(seed: int, more: int, size: int) -> None:
    made = predictions("genre", size + more, size, seed)
    metrics = classification_metrics(made.true, made.scores, [str(k) for k in range(size)])
    wide = made.scores.astype(float) / made.scores.astype(float).sum(axis=1, keepdims=True)
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(made.true, wide.argmax(axis=1)))
    assert metrics["log_loss"] == pytest.approx(log_loss_of_sklearn(made.true, wide, labels=list(range(size))))
    one_hot = np.eye(size)[made.true]
    assert metrics["macro_roc_auc"] == pytest.approx(roc_auc_score(one_hot, wide, average="macro"))


@given(st.integers(0, 999), st.integers(2, 60), st.integers(2, 6))
def test_the_order_of_examples_does_not_matter(seed: int, n: int, size: int) -> None:
    made = predictions("genre", n, size, seed)
    other = made.take(np.random.default_rng(seed).permutation(n))
    names = [str(k) for k in range(size)]
    first, second = (classification_metrics(item.true, item.scores, names) for item in (made, other))
    assert first["confusion_matrix"] == second["confusion_matrix"]
    for name in ("accuracy", "macro_f1", "weighted_f1", "macro_average_precision", "micro_average_precision"):
        assert first[name] == pytest.approx(second[name], rel=1e-12)
    assert first["log_loss"] == pytest.approx(second["log_loss"], rel=1e-12)


def test_a_true_class_with_probability_0_has_a_finite_loss() -> None:
    # One of two examples has probability 0, replaced by 1e-12: the log loss is 12 ln 10 / 2.
    metrics = classification_metrics(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]], np.float32), ["A", "B"])
    assert metrics["log_loss"] == pytest.approx(12 * log(10) / 2, rel=1e-6)


def test_perfect_predictions_are_perfect() -> None:
    made = predictions("genre", 20, 4)
    metrics = classification_metrics(made.true, np.eye(4, dtype=np.float32)[made.true], list("ABCD"))
    ones = ("accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1", "macro_roc_auc")
    assert [metrics[name] for name in ones] == [1] * len(ones)
    assert metrics["log_loss"] == metrics["expected_calibration_error"] == 0


def test_calibration_bins_are_open_below_and_closed_above() -> None:
    # Confidence 9/15 is the top of the ninth bin (8/15, 9/15]; .7 is in the eleventh (10/15, 11/15].
    found = calibration_metrics(np.array([0, 0, 1]), np.array([[9 / 15, 6 / 15], [0.7, 0.3], [0.7, 0.3]]))
    assert [(row["examples"], row["accuracy"]) for row in found["reliability"]] == [(1, 1.0), (2, 0.5)]
    assert found["reliability"][0]["up_to"] == pytest.approx(9 / 15)
    assert found["expected_calibration_error"] == pytest.approx((1 * (1 - 9 / 15) + 2 * (0.7 - 0.5)) / 3)


def test_the_calibration_error_is_small_if_calibrated_and_large_if_overconfident() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.5, 1, 20_000)
    true = (generator.random(20_000) > confidence).astype(int)
    calibrated = calibration_metrics(true, np.column_stack([confidence, 1 - confidence]))
    assert calibrated["expected_calibration_error"] < 0.02
    overconfident = calibration_metrics(true, np.tile([1.0, 0.0], (20_000, 1)))
    assert overconfident["expected_calibration_error"] == pytest.approx(0.25, abs=0.02)


def test_ordinal_metrics_by_hand() -> None:
    # Predicted 0, 2, 1, 3 for true 0, 1, 3, 2: off by 0, 1, 2, 1. Ranks differ by 0, 1, 2, 1:
    # Spearman 1 - 6 (0 + 1 + 4 + 1) / (4 (16 - 1)) = 1 - 36 / 60 = .4.
    found = ordinal_metrics(np.array([0, 1, 3, 2]), np.eye(4)[[0, 2, 1, 3]])
    assert found == pytest.approx({"off_by_one_accuracy": 3 / 4, "spearman": 0.4})


def test_the_correlation_of_constant_values_is_undefined() -> None:
    assert ordinal_metrics(np.array([0, 1]), np.tile([0.2, 0.8], (2, 1)))["spearman"] is None
    assert ordinal_metrics(np.array([1]), np.array([[0.2, 0.8]]))["spearman"] is None


def test_a_hundred_thousand_classes_need_no_square_of_them() -> None:
    generator = np.random.default_rng(2)
    true, names = generator.integers(0, 100_000, 12), list(map(str, range(100_000)))
    scores = generator.random((12, 100_000)).astype(np.float32)
    scores[np.arange(8), true[:8]] = 2
    metrics = classification_metrics(true, scores, names)
    assert metrics["accuracy"] == pytest.approx(8 / 12)
    assert "confusion_matrix" not in metrics
    drawn = classification_statistic(true, scores, Artists(np.arange(12), 12))(np.ones((12, 1)))
    assert {name: values[0] for name, values in drawn.items()} == {
        name: pytest.approx(metrics[name]) for name in ("accuracy", "log_loss")
    }
