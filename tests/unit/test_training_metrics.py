from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.metrics import log_loss as log_loss_of_sklearn

from training.metrics import genre_metrics, majority_metrics

LABELS = ["A", "B", "C"]
TRUE = np.array([0, 0, 1, 1, 1])
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])


def test_five_examples_by_hand() -> None:
    # Predicted: A B B B A. A: 1 right of 2 predicted and 2 true. B: 2 right of 3 predicted and 3 true. C: no example.
    metrics = genre_metrics(TRUE, PROBABILITIES, LABELS)
    f1_a, f1_b = 1 / 2, 2 / 3
    # Sorted by A's probability: A B A B B, precision 1/1 and 2/3 at the As. By B's: B B A B A, 1/1, 2/2 and 3/4.
    ap_a, ap_b = (1 + 2 / 3) / 2, (1 + 1 + 3 / 4) / 3
    expected = {
        "examples": 5,
        "accuracy": 3 / 5,
        "macro_f1": (f1_a + f1_b) / 2,
        "weighted_f1": (2 * f1_a + 3 * f1_b) / 5,
        "macro_average_precision": (ap_a + ap_b) / 2,
        "log_loss": -(log(0.8) + log(0.3) + log(0.7) + log(0.8) + log(0.4)) / 5,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics["confusion_matrix"] == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    by_genre = metrics["by_genre"]
    assert by_genre["A"] == pytest.approx(
        {"precision": 1 / 2, "recall": 1 / 2, "f1": f1_a, "average_precision": ap_a, "support": 2}
    )
    assert by_genre["B"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": f1_b, "average_precision": ap_b, "support": 3}
    )
    assert by_genre["C"] == {"precision": 0, "recall": 0, "f1": 0, "average_precision": None, "support": 0}


def test_the_majority_by_hand() -> None:
    # Shares 1/4, 3/4, 0: B each time. Precision of B 3/5, recall 1: F1 = 2 (3/5) / (8/5) = 3/4; A's is 0.
    metrics = majority_metrics(TRUE, np.array([1, 3, 0]), LABELS)
    expected = {
        "accuracy": 3 / 5,
        "macro_f1": (0 + 3 / 4) / 2,
        "weighted_f1": (2 * 0 + 3 * 3 / 4) / 5,
        # One score for all: the average precision is the genre's share, 2/5 and 3/5.
        "macro_average_precision": (2 / 5 + 3 / 5) / 2,
        "log_loss": -(2 * log(1 / 4) + 3 * log(3 / 4)) / 5,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)


def test_a_genre_held_impossible_costs_much_and_not_everything() -> None:
    # log loss of one example in two held at 0, taken as 1e-12: 12 ln 10 / 2.
    metrics = genre_metrics(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]], np.float32), ["A", "B"])
    assert metrics["log_loss"] == pytest.approx(12 * log(10) / 2, rel=1e-6)


def random_predictions(seed: int, n: int, n_genres: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    generator = np.random.default_rng(seed)
    true = generator.permutation(np.arange(n) % n_genres)
    probabilities = generator.dirichlet(np.ones(n_genres), n).astype(np.float32)
    return true, probabilities, [f"genre {number}" for number in range(n_genres)]


@given(st.integers(0, 999), st.integers(0, 60), st.integers(2, 6))
def test_figures_are_sklearns_where_every_genre_has_an_example(seed: int, more: int, n_genres: int) -> None:
    true, probabilities, labels = random_predictions(seed, n_genres + more, n_genres)
    predicted = probabilities.argmax(axis=1)
    metrics = genre_metrics(true, probabilities, labels)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    everything = list(range(n_genres))
    for average in ("macro", "weighted"):
        wanted = f1_score(true, predicted, labels=everything, average=average, zero_division=0)
        assert metrics[f"{average}_f1"] == pytest.approx(wanted)
    wide = probabilities.astype(float) / probabilities.astype(float).sum(axis=1, keepdims=True)
    assert metrics["log_loss"] == pytest.approx(log_loss_of_sklearn(true, wide, labels=everything))
    one_hot = np.eye(n_genres, dtype=int)[true]
    assert metrics["macro_average_precision"] == pytest.approx(average_precision_score(one_hot, probabilities))


@given(st.integers(0, 999), st.integers(2, 60), st.integers(2, 6))
def test_the_order_of_examples_does_not_matter(seed: int, n: int, n_genres: int) -> None:
    true, probabilities, labels = random_predictions(seed, n, n_genres)
    order = np.random.default_rng(seed).permutation(n)
    first, second = genre_metrics(true, probabilities, labels), genre_metrics(true[order], probabilities[order], labels)
    assert first["confusion_matrix"] == second["confusion_matrix"]
    for name in ("accuracy", "macro_f1", "weighted_f1", "macro_average_precision", "log_loss"):
        assert first[name] == pytest.approx(second[name])


def test_perfect_predictions_are_perfect() -> None:
    true, _, labels = random_predictions(0, 20, 4)
    metrics = genre_metrics(true, np.eye(4, dtype=np.float32)[true], labels)
    figures = {name: metrics[name] for name in ("accuracy", "macro_f1", "weighted_f1", "macro_average_precision")}
    assert figures == dict.fromkeys(figures, 1.0)
    assert metrics["log_loss"] == pytest.approx(0, abs=1e-9)


def test_a_dataset_of_one_genre_has_metrics() -> None:
    assert genre_metrics(np.array([0, 0]), np.ones((2, 1)), ["Rock"])["accuracy"] == 1.0
