"""Ranking metrics by hand, against scikit-learn and implicit, and their invariants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import ndcg_score, roc_auc_score

from msd_spark.factors import metrics
from msd_spark.factors.ranking import NONE, best, hits_of


def test_metrics_by_hand() -> None:
    # The user's two held-out songs are at places 1 and 4.
    hits, n_held = np.array([[True, False, False, True, False]]), np.array([2])
    # The first three places have one hit of two possible.
    assert metrics.recall_at(hits, n_held, 3) == pytest.approx([1 / 2])
    # One place can have one hit: 1/1.
    assert metrics.recall_at(hits, n_held, 1) == pytest.approx([1.0])
    # (1/log2(2) + 1/log2(5)) / (1/log2(2) + 1/log2(3)) = 1.430677 / 1.630930
    assert metrics.ndcg_at(hits, n_held, 5) == pytest.approx([1.430677 / 1.630930], rel=1e-6)
    # Precision is 1/1 at the first hit and 2/4 at the second: (1 + 0.5) / 2.
    assert metrics.average_precision_at(hits, n_held, 5) == pytest.approx([0.75])
    # In the first three places: 1 / min(2, 3).
    assert metrics.average_precision_at(hits, n_held, 3) == pytest.approx([0.5])
    # Three of eight tracks are listed; empty places do not count.
    assert metrics.coverage(np.array([[1, 2, 7], [1, 7, NONE]]), 8) == pytest.approx(3 / 8)
    # Held-out scores are 3 and 1, others 2, 1 and 0: 3 beats three of three; 1 beats one and ties with one: 1.5.
    scores, held_out = np.array([[3.0, 2.0, 1.0, 1.0, 0.0]]), np.array([[True, False, True, False, False]])
    assert metrics.auc(scores, held_out) == pytest.approx([4.5 / 6])


def test_more_held_out_than_places() -> None:
    hits, n_held = np.ones((1, 4), bool), np.array([9])
    for metric in (metrics.recall_at, metrics.ndcg_at, metrics.average_precision_at):
        assert metric(hits, n_held, 4) == pytest.approx([1.0])


def scores_and_held(seed: int, users: int = 40, tracks: int = 120) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    held_out = generator.random((users, tracks)) < 0.05
    held_out[:, 3] = True
    return generator.normal(size=(users, tracks)) + held_out, held_out


def test_ndcg_and_auc_equal_scikit_learn() -> None:
    scores, held_out = scores_and_held(1)
    lists = best(scores, 100)
    hits = hits_of(lists, sparse.csr_matrix(held_out))
    ndcg = metrics.ndcg_at(hits, held_out.sum(axis=1), 100)
    assert ndcg.mean() == pytest.approx(ndcg_score(held_out.astype(int), scores, k=100), rel=1e-12)
    expected = [roc_auc_score(row, score) for row, score in zip(held_out, scores, strict=True)]
    assert metrics.auc(scores, held_out) == pytest.approx(expected)
    assert metrics.auc(scores.round(), held_out) == pytest.approx(
        [roc_auc_score(row, score) for row, score in zip(held_out, scores.round(), strict=True)]
    )


def test_metrics_equal_the_package_implicit() -> None:
    from implicit.als import AlternatingLeastSquares
    from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
    from implicit.evaluation import ranking_metrics_at_k

    generator = np.random.default_rng(2)
    users, tracks = generator.normal(size=(30, 6)).astype(np.float32), generator.normal(size=(80, 6)).astype(np.float32)
    heard = generator.random((30, 80)) < 0.2
    out = heard & (generator.random(heard.shape) < 0.3)
    out[np.arange(30), heard.argmax(axis=1)] = True
    history, held_out = sparse.csr_matrix(heard & ~out, dtype=np.float32), sparse.csr_matrix(out, dtype=np.float32)
    model: MatrixFactorizationBase = AlternatingLeastSquares(factors=6, use_gpu=False)
    model.user_factors, model.item_factors = users, tracks
    # Its precision divides all users' hits by the most possible; its mAP is a mean over users.
    reference = ranking_metrics_at_k(model, history, held_out, K=10, show_progress=False)
    scores = users @ tracks.T
    scores[history.nonzero()] = -np.inf
    lists = best(scores, 10)
    hits, n_held = hits_of(lists, held_out), np.diff(held_out.indptr)
    assert metrics.ndcg_at(hits, n_held, 10).mean() == pytest.approx(reference["ndcg"], rel=1e-5)
    assert metrics.average_precision_at(hits, n_held, 10).mean() == pytest.approx(reference["map"], rel=1e-5)
    assert hits.sum() / np.minimum(n_held, 10).sum() == pytest.approx(reference["precision"], rel=1e-5)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 30), st.integers(1, 60))
def test_metrics_are_between_0_and_1_and_grow_with_better_places(row: list[bool], missed: int, places: int) -> None:
    hits, n_held = np.array([row]), np.array([sum(row) + missed])
    if not n_held[0]:
        return
    for metric in (metrics.recall_at, metrics.ndcg_at, metrics.average_precision_at):
        value = metric(hits, n_held, places)[0]
        assert -1e-12 <= value <= 1 + 1e-12
        sorted_first = metric(np.array([sorted(row, reverse=True)]), n_held, places)[0]
        assert sorted_first >= value - 1e-12
    if not missed:
        assert metrics.ndcg_at(np.array([sorted(row, reverse=True)]), n_held, places)[0] == pytest.approx(1)


def test_metrics_have_their_mean_and_interval() -> None:
    values = np.random.default_rng(0).random(50)
    mean, low, high = metrics.with_intervals({"x": values}, 1)["x"]
    assert mean == pytest.approx(values.mean())
    assert low < mean < high
    assert metrics.with_intervals({"x": values}, 1)["x"] == [mean, low, high]


def test_ratio_uses_the_same_resamples_of_users() -> None:
    values = np.random.default_rng(0).random(50)
    assert metrics.ratio_with_interval(3 * values, values, 1) == pytest.approx([3, 3, 3])
    assert metrics.ratio_with_interval(values, np.zeros(50), 1) == [None, None, None]
