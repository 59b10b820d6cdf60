"""Ranking figures by hand, beside scikit-learn's and implicit's, and what always holds of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import ndcg_score, roc_auc_score

from msd_spark.factors import metrics
from msd_spark.factors.ranking import NONE, best, hits_of, recommend


def test_figures_by_hand() -> None:
    # Two songs are held out of the user; they stand at places 1 and 4.
    hits, n_held = np.array([[True, False, False, True, False]]), np.array([2])
    # Of the first three places one is a hit, and two could be.
    assert metrics.recall_at(hits, n_held, 3) == pytest.approx([1 / 2])
    # With one place no more than one could be: 1/1.
    assert metrics.recall_at(hits, n_held, 1) == pytest.approx([1.0])
    # (1/log2(2) + 1/log2(5)) / (1/log2(2) + 1/log2(3)) = 1.430677 / 1.630930
    assert metrics.ndcg_at(hits, n_held, 5) == pytest.approx([1.430677 / 1.630930], rel=1e-6)
    # Precision is 1/1 at the first hit and 2/4 at the second: (1 + 0.5) / 2.
    assert metrics.average_precision_at(hits, n_held, 5) == pytest.approx([0.75])
    # Of the first three places: 1 / min(2, 3).
    assert metrics.average_precision_at(hits, n_held, 3) == pytest.approx([0.5])
    # Of 8 tracks 3 are shown, and an empty place is none of them.
    assert metrics.coverage(np.array([[1, 2, 7], [1, 7, NONE]]), 8) == pytest.approx(3 / 8)
    # Held out are the scores 3 and 1, the others are 2, 1, 0: 3 beats three of three; 1 beats one, ties with one: 1.5.
    scores, held = np.array([[3.0, 2.0, 1.0, 1.0, 0.0]]), np.array([[True, False, True, False, False]])
    assert metrics.auc(scores, held) == pytest.approx([4.5 / 6])


def test_more_held_out_than_places() -> None:
    hits, n_held = np.ones((1, 4), bool), np.array([9])
    for figure in (metrics.recall_at, metrics.ndcg_at, metrics.average_precision_at):
        assert figure(hits, n_held, 4) == pytest.approx([1.0])


def scores_and_held(seed: int, users: int = 40, tracks: int = 120) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    held = generator.random((users, tracks)) < 0.05
    held[:, 3] = True
    return generator.normal(size=(users, tracks)) + held, held


def test_ndcg_and_auc_are_those_of_scikit_learn() -> None:
    scores, held = scores_and_held(1)
    lists = best(scores, 100)
    hits = hits_of(lists, sparse.csr_matrix(held))
    found = metrics.ndcg_at(hits, held.sum(axis=1), 100)
    assert found.mean() == pytest.approx(ndcg_score(held.astype(int), scores, k=100), rel=1e-12)
    wanted = [roc_auc_score(row, score) for row, score in zip(held, scores, strict=True)]
    assert metrics.auc(scores, held) == pytest.approx(wanted)
    assert metrics.auc(scores.round(), held) == pytest.approx(
        [roc_auc_score(row, score) for row, score in zip(held, scores.round(), strict=True)]
    )


def test_figures_are_those_of_the_package_implicit() -> None:
    from implicit.als import AlternatingLeastSquares
    from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
    from implicit.evaluation import ranking_metrics_at_k

    generator = np.random.default_rng(2)
    users, tracks = generator.normal(size=(30, 6)).astype(np.float32), generator.normal(size=(80, 6)).astype(np.float32)
    heard = generator.random((30, 80)) < 0.2
    out = heard & (generator.random(heard.shape) < 0.3)
    out[np.arange(30), heard.argmax(axis=1)] = True
    history, held = sparse.csr_matrix(heard & ~out, dtype=np.float32), sparse.csr_matrix(out, dtype=np.float32)
    model: MatrixFactorizationBase = AlternatingLeastSquares(factors=6, use_gpu=False)
    model.user_factors, model.item_factors = users, tracks
    # Its precision is hits over what could be there, added up over users; so is its mAP a mean of users.
    theirs = ranking_metrics_at_k(model, history, held, K=10, show_progress=False)
    scores = users @ tracks.T
    scores[history.nonzero()] = -np.inf
    lists = best(scores, 10)
    hits, n_held = hits_of(lists, held), np.diff(held.indptr)
    assert metrics.ndcg_at(hits, n_held, 10).mean() == pytest.approx(theirs["ndcg"], rel=1e-5)
    assert metrics.average_precision_at(hits, n_held, 10).mean() == pytest.approx(theirs["map"], rel=1e-5)
    assert hits.sum() / np.minimum(n_held, 10).sum() == pytest.approx(theirs["precision"], rel=1e-5)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 30), st.integers(1, 60))
def test_figures_lie_between_0_and_1_and_grow_with_better_places(row: list[bool], missed: int, places: int) -> None:
    hits, n_held = np.array([row]), np.array([sum(row) + missed])
    if not n_held[0]:
        return
    for figure in (metrics.recall_at, metrics.ndcg_at, metrics.average_precision_at):
        value = figure(hits, n_held, places)[0]
        assert -1e-12 <= value <= 1 + 1e-12
        sorted_first = figure(np.array([sorted(row, reverse=True)]), n_held, places)[0]
        assert sorted_first >= value - 1e-12
    if not missed:
        assert metrics.ndcg_at(np.array([sorted(row, reverse=True)]), n_held, places)[0] == pytest.approx(1)


@given(
    st.lists(st.lists(st.sampled_from([-math.inf, 0.0, 1.0, 2.0]), min_size=7, max_size=7), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_the_best_are_those_of_a_full_sort(rows: list[list[float]], k: int) -> None:
    found = best(np.array(rows), k)
    for row, ours in zip(rows, found.tolist(), strict=True):
        wanted = [place for _, place in sorted((-score, place) for place, score in enumerate(row) if score > -math.inf)]
        assert ours == (wanted + [NONE] * k)[:k]


def test_a_history_is_never_recommended() -> None:
    history = sparse.csr_matrix(np.array([[0, 5, 0, 1], [1, 1, 1, 1]], np.float32))
    lists = recommend(lambda asked: np.tile(np.array([1, 9, 5, 9], np.float32), (asked.shape[0], 1)), history, 3)
    assert lists.tolist() == [[2, 0, NONE], [NONE] * 3]


def test_intervals_hold_the_mean_and_narrow_with_users() -> None:
    generator = np.random.default_rng(0)
    few, many = generator.random(50), generator.random(5000)
    one, other = metrics.with_intervals({"x": few}, 1)["x"], metrics.with_intervals({"x": many}, 1)["x"]
    assert one.low < one.value < one.high
    # 1.96 standard errors: sqrt(1/12) / sqrt(5000) = 0.00408.
    assert (other.high - other.low) / 2 == pytest.approx(1.96 * many.std() / math.sqrt(5000), rel=0.1)
    assert one.high - one.low > 5 * (other.high - other.low)
    assert metrics.with_intervals({"x": few}, 1)["x"] == one
