"""Figures of tags and of factors."""

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
    # dead: on none. Neither can be judged.
    true = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0]])
    scores = np.array([[0.9, 0.5, 0.5], [0.8, 0.5, 0.5], [0.3, 0.5, 0.5]])
    figures = multilabel_metrics(true, scores, ["rock", "loud", "dead"])
    assert figures["by_class"]["rock"] == pytest.approx({"support": 2, "roc_auc": 1 / 2, "pr_auc": (1 + 2 / 3) / 2})
    assert figures["by_class"]["loud"] == {"support": 3, "roc_auc": None, "pr_auc": None}
    assert figures["by_class"]["dead"] == {"support": 0, "roc_auc": None, "pr_auc": None}
    assert (figures["tags_judged"], figures["tags_left_out"]) == (1, 2)
    assert figures["macro_roc_auc"] == pytest.approx(1 / 2)
    assert figures["macro_pr_auc"] == pytest.approx((1 + 2 / 3) / 2)
    # Six of the nine are .5 of a coin.
    assert figures["log_loss"] == pytest.approx(-(log(0.9) + log(0.2) + log(0.3) + 6 * log(0.5)) / 9)


def test_tags_of_which_none_can_be_judged_have_no_macro_figure() -> None:
    figures = multilabel_metrics(np.ones((2, 1)), np.full((2, 1), 0.5), ["loud"])
    assert figures["macro_roc_auc"] is None
    assert figures["macro_pr_auc"] is None
    json.dumps(figures, allow_nan=False)


@given(st.integers(0, 999), st.integers(20, 60))
def test_macro_figures_of_tags_are_sklearns(seed: int, n: int) -> None:
    made = predictions("tags", n, 4, seed)
    judged = [place for place in range(4) if 0 < made.true[:, place].sum() < n]
    figures = multilabel_metrics(made.true, made.scores, list("abcd"))
    assert figures["tags_judged"] == len(judged)
    assert figures["macro_roc_auc"] == pytest.approx(roc_auc_score(made.true[:, judged], made.scores[:, judged]))
    per_tag = [log_loss(made.true[:, k], made.scores[:, k].astype(float), labels=[0, 1]) for k in range(4)]
    assert figures["log_loss"] == pytest.approx(np.mean(per_tag))


def test_factors_by_hand() -> None:
    true = np.array([[1.0, 2.0], [3.0, 2.0]])
    said = np.array([[1.0, 2.0], [0.0, 1.0]])
    figures = regression_metrics(true, said, ["x", "y"])
    # Errors: 0 0 and 3 1: squares add up to 10 of 4. The second cosine is 2 / (sqrt(13) * 1).
    assert figures["mean_squared_error"] == pytest.approx(10 / 4)
    assert figures["cosine"] == pytest.approx((1 + 2 / sqrt(13)) / 2)
    # x: 1 - 9 / ((1 - 2)^2 + (3 - 2)^2). y never changes: no R².
    assert figures["by_class"]["x"] == pytest.approx({"mean_squared_error": 9 / 2, "r2": 1 - 9 / 2})
    assert figures["by_class"]["y"] == {"mean_squared_error": pytest.approx(1 / 2), "r2": None}
    assert figures["r2"] == pytest.approx(1 - 9 / 2)


@given(st.integers(0, 999), st.integers(3, 60))
def test_r2_is_sklearns(seed: int, n: int) -> None:
    made = predictions("factors", n, 3, seed)
    figures = regression_metrics(made.true, made.scores, list("abc"))
    assert figures["r2"] == pytest.approx(r2_score(made.true.astype(float), made.scores.astype(float)))


def test_a_prediction_of_nothing_has_cosine_0_and_one_example_no_r2() -> None:
    figures = regression_metrics(np.array([[1.0, 2.0]]), np.zeros((1, 2)), ["x", "y"])
    assert figures["cosine"] == 0
    assert figures["r2"] is None
    json.dumps(figures, allow_nan=False)
