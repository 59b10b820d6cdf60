"""Metrics of tags and factors."""

from __future__ import annotations

import json
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, r2_score, roc_auc_score

from tests.support.predictions import predictions
from training.evaluation.multilabel import multilabel_metrics
from training.evaluation.regression import regression_metrics


def test_tags_by_hand() -> None:
    # rock: scores .9+ .8- .3+: one pair of two right; precision 1/1 and 2/3 at the positives. loud: on every song;
    # dead: on none. Metrics of both are undefined.
    true = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0]])
    scores = np.array([[0.9, 0.5, 0.5], [0.8, 0.5, 0.5], [0.3, 0.5, 0.5]])
    metrics = multilabel_metrics(true, scores, ["rock", "loud", "dead"])
    assert metrics["by_class"]["rock"] == pytest.approx({"support": 2, "roc_auc": 1 / 2, "pr_auc": (1 + 2 / 3) / 2})
    assert metrics["by_class"]["loud"] == {"support": 3, "roc_auc": None, "pr_auc": None}
    assert metrics["by_class"]["dead"] == {"support": 0, "roc_auc": None, "pr_auc": None}
    assert (metrics["tags_judged"], metrics["tags_left_out"]) == (1, 2)
    assert metrics["macro_roc_auc"] == pytest.approx(1 / 2)
    assert metrics["macro_pr_auc"] == pytest.approx((1 + 2 / 3) / 2)
    # Six of the nine probabilities are .5.
    assert metrics["log_loss"] == pytest.approx(-(log(0.9) + log(0.2) + log(0.3) + 6 * log(0.5)) / 9)


def test_macro_metrics_are_undefined_if_those_of_all_tags_are() -> None:
    metrics = multilabel_metrics(np.ones((2, 1)), np.full((2, 1), 0.5), ["loud"])
    assert metrics["macro_roc_auc"] is None
    assert metrics["macro_pr_auc"] is None
    json.dumps(metrics, allow_nan=False)


@given(st.integers(0, 999), st.integers(20, 60))
def test_macro_metrics_of_tags_equal_those_of_sklearn(seed: int, n: int) -> None:
    made = predictions("tags", n, 4, seed)
    judged = [place for place in range(4) if 0 < made.true[:, place].sum() < n]
    metrics = multilabel_metrics(made.true, made.scores, list("abcd"))
    assert metrics["tags_judged"] == len(judged)
    assert metrics["macro_roc_auc"] == pytest.approx(roc_auc_score(made.true[:, judged], made.scores[:, judged]))
    per_tag = [log_loss(made.true[:, k], made.scores[:, k].astype(float), labels=[0, 1]) for k in range(4)]
    assert metrics["log_loss"] == pytest.approx(np.mean(per_tag))


def test_factors_by_hand() -> None:
    true = np.array([[1.0, 2.0], [3.0, 2.0]])
    predicted = np.array([[1.0, 2.0], [0.0, 1.0]])
    metrics = regression_metrics(true, predicted, ["x", "y"])
    # Errors: 0 0 and 3 1: squares add up to 10 of 4. The second cosine is 2 / (sqrt(13) * 1).
    assert metrics["mean_squared_error"] == pytest.approx(10 / 4)
    assert metrics["cosine"] == pytest.approx((1 + 2 / sqrt(13)) / 2)
    # x: 1 - 9 / ((1 - 2)^2 + (3 - 2)^2). y is constant: no R².
    assert metrics["by_class"]["x"] == pytest.approx({"mean_squared_error": 9 / 2, "r2": 1 - 9 / 2})
    assert metrics["by_class"]["y"] == {"mean_squared_error": pytest.approx(1 / 2), "r2": None}
    assert metrics["r2"] == pytest.approx(1 - 9 / 2)


@given(st.integers(0, 999), st.integers(3, 60))
def test_r2_equals_that_of_sklearn(seed: int, n: int) -> None:
    made = predictions("factors", n, 3, seed)
    metrics = regression_metrics(made.true, made.scores, list("abc"))
    assert metrics["r2"] == pytest.approx(r2_score(made.true.astype(float), made.scores.astype(float)))


def test_a_zero_prediction_has_cosine_0_and_a_single_example_no_r2() -> None:
    metrics = regression_metrics(np.array([[1.0, 2.0]]), np.zeros((1, 2)), ["x", "y"])
    assert metrics["cosine"] == 0
    assert metrics["r2"] is None
    json.dumps(metrics, allow_nan=False)
