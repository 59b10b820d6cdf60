"""Filtering, holding out, half-steps of ALS and the recommenders beside it: by hand, and what always holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from msd_spark.core.errors import UserError
from msd_spark.factors import baselines
from msd_spark.factors.confidence import fit_rows, log_scaled
from msd_spark.factors.held_out import LEAST_TRACKS, TEST, TRAIN, VALIDATION, parts_of, split
from msd_spark.factors.listens import Listens, keep_frequent, make_listens
from msd_spark.factors.search import search
from msd_spark.factors.settings import AlsParameters, FactorSettings

# Three users, three tracks; user 0 has heard 0 and 1, user 1 has heard 1 and 2, user 2 all three.
PLAYS = sparse.csr_matrix(np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]], np.float32))


def listens_of(matrix: np.ndarray) -> Listens:
    user, track = np.nonzero(matrix)
    ids = [[f"{kind}{number:03}" for number in range(size)] for kind, size in zip("ut", matrix.shape, strict=True)]
    return make_listens(user, ids[0], track, ids[1], matrix[user, track])


def test_rare_users_and_tracks_are_left_out_until_none_is() -> None:
    # Track 3 has one listener, user 3; without it user 3 has one track, and without user 3 track 2 has one listener.
    plays = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]])
    kept = keep_frequent(listens_of(plays), 2, 2)
    assert kept.listens.tracks.tolist() == ["t000", "t001"]
    assert kept.listens.users.tolist() == ["u000", "u001", "u002"]
    assert kept.rounds == (
        {"users": 3, "tracks": 3, "pairs": 7},
        {"users": 3, "tracks": 2, "pairs": 6},
        {"users": 3, "tracks": 2, "pairs": 6},
    )
    with pytest.raises(UserError, match="no user has 3 tracks that have 3 listeners; ask for less"):
        keep_frequent(listens_of(plays), 3, 3)
    with pytest.raises(UserError, match="plays/ has 1 pairs twice"):
        make_listens(np.array([0, 0]), ["u"], np.array([0, 0]), ["t"], np.array([1, 2]))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=30)
def test_all_that_is_left_is_frequent_and_is_the_most_that_can_be(seed: int, tracks: int, listeners: int) -> None:
    plays = np.random.default_rng(seed).random((12, 9)) < 0.35
    # By a plain loop that takes one row or column at a time.
    left = plays.copy()
    while True:
        few_tracks = (left.sum(axis=1) < tracks) & left.any(axis=1)
        few_listeners = (left.sum(axis=0) < listeners) & left.any(axis=0)
        if few_tracks.any():
            left[few_tracks.argmax()] = False
        elif few_listeners.any():
            left[:, few_listeners.argmax()] = False
        else:
            break
    if left.any():
        found = keep_frequent(listens_of(plays), tracks, listeners).listens
        assert (found.plays.toarray() > 0).tolist() == left[left.any(axis=1)][:, left.any(axis=0)].tolist()
    else:
        with pytest.raises(UserError):
            keep_frequent(listens_of(plays), tracks, listeners)


def test_held_out_users_are_strangers_and_a_fifth_of_their_tracks_is_held_out() -> None:
    generator = np.random.default_rng(0)
    listens = listens_of((generator.random((400, 60)) < 0.2) * generator.integers(1, 9, (400, 60)))
    parts = split(listens, 0.15, 3)
    part = parts_of(listens.users, 0.15, 3)
    assert parts.train.users.tolist() == listens.users[part == TRAIN].tolist()
    assert np.bincount(part).tolist() == pytest.approx([280, 60, 60], abs=25)
    whole = listens.plays[:, np.isin(listens.tracks, parts.tracks)].toarray()
    for name, judged in ((VALIDATION, parts.validation), (TEST, parts.test)):
        rows = whole[part == name]
        enough = (rows > 0).sum(axis=1) >= LEAST_TRACKS
        assert judged.too_few == (~enough).sum()
        # What a recommender is told and what it is to find are two parts of the listens.
        assert ((judged.history + judged.held).toarray() == rows[enough]).all()
        assert not judged.history.multiply(judged.held).nnz
        assert (judged.n_held == (rows[enough] > 0).sum(axis=1) // 5).all()
    # Others who come or go change nothing for a user.
    fewer = listens.of_users(np.arange(100, 400))
    assert parts_of(fewer.users, 0.15, 3).tolist() == part[100:].tolist()
    again = split(fewer, 0.15, 3)
    for user in set(fewer.users[part[100:] == TEST]):
        one = np.flatnonzero(listens.users[part == TEST][whole_enough(whole, part)] == user)
        other = np.flatnonzero(fewer.users[part[100:] == TEST][whole_enough(whole[100:], part[100:])] == user)
        assert (parts.test.held[one].toarray() == again.test.held[other].toarray()).all()
    assert parts_of(listens.users, 0.15, 4).tolist() != part.tolist()


def whole_enough(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
    return np.asarray((whole[part == TEST] > 0).sum(axis=1) >= LEAST_TRACKS)


def test_too_few_users_to_judge_by_are_told() -> None:
    with pytest.raises(UserError, match=r"users to train, validate and test on, of 3; .* or 0 not to judge"):
        split(listens_of(PLAYS.toarray()), 0.1, 0)


def test_a_half_step_by_hand() -> None:
    # Tracks have the factors 1 and 2; a user played the first e - 1 times: log(1 + (e - 1) / 1) = 1.
    plays = sparse.csr_matrix(np.array([[np.e - 1, 0], [0, 0]], np.float32))
    parameters = AlsParameters(rank=1, alpha=3.0, epsilon=1.0, regularisation=0.5, iterations=1)
    found = fit_rows(plays, np.array([[1.0], [2.0]]), parameters)
    # Y'Y is 1 + 4 = 5; confidence is 1 + 3 * 1 = 4, so beyond one it adds 3 * 1 * 1; the penalty is 0.5 * one listen.
    # (5 + 3 + 0.5) x = 4 * 1, x = 4 / 8.5. Who played nothing has no factors.
    assert found == pytest.approx(np.array([[4 / 8.5], [0.0]]))
    assert log_scaled(np.array([4.0]), 2.0) == pytest.approx([np.log(3)])


def loss(plays: np.ndarray, rows: np.ndarray, columns: np.ndarray, parameters: AlsParameters) -> float:
    confidence = 1 + parameters.alpha * np.log1p(plays / parameters.epsilon)
    heard = plays > 0
    penalty = (heard.sum(axis=1) * (rows**2).sum(axis=1)).sum() + (heard.sum(axis=0) * (columns**2).sum(axis=1)).sum()
    return float((confidence * (heard - rows @ columns.T) ** 2).sum() + parameters.regularisation * penalty)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_half_step_is_the_least_loss(seed: int) -> None:
    generator = np.random.default_rng(seed)
    plays = generator.integers(0, 4, (6, 5)).astype(np.float32)
    plays[:, 0] = 1
    columns = generator.normal(size=(5, 2))
    parameters = AlsParameters(rank=2, alpha=2.0, epsilon=0.5, regularisation=0.1, iterations=1)
    rows = fit_rows(sparse.csr_matrix(plays), columns, parameters).astype(np.float64)
    least = loss(plays, rows, columns, parameters)
    for _ in range(5):
        assert loss(plays, rows + 0.01 * generator.normal(size=rows.shape), columns, parameters) > least


def test_folding_in_is_that_of_the_package_implicit() -> None:
    from implicit.als import AlternatingLeastSquares

    generator = np.random.default_rng(5)
    factors = (generator.normal(size=(300, 16)) / 4).astype(np.float32)
    parameters = AlsParameters(rank=16, alpha=7.0, epsilon=0.7, regularisation=0.03)
    # Its penalty is not scaled by the listens; users of 12 tracks each make that no difference.
    plays = np.zeros((50, 300), np.float32)
    for user in range(50):
        plays[user, generator.choice(300, 12, replace=False)] = generator.integers(1, 60, 12)
    matrix = sparse.csr_matrix(plays)
    model = AlternatingLeastSquares(factors=16, regularization=0.03 * 12, alpha=1.0, use_gpu=False)
    model.item_factors = factors
    # Its confidences are what it is given: those beyond one are added up, as here.
    confidence = sparse.csr_matrix((1 + 7.0 * np.log1p(matrix.data / 0.7), matrix.indices, matrix.indptr), matrix.shape)
    theirs = model.recalculate_user(np.arange(50), confidence.astype(np.float32))
    assert fit_rows(matrix, factors, parameters) == pytest.approx(theirs, abs=1e-4)


def test_popularity_and_item_knn_by_hand() -> None:
    asked = sparse.csr_matrix(np.array([[1, 0, 0]], np.float32))
    assert baselines.popularity(PLAYS)(asked).tolist() == [[2, 3, 2]]
    # Tracks 0 and 1 share two listeners of 2 and 3: 2 / (sqrt(6) + 1); tracks 0 and 2 share one: 1 / (2 + 1).
    wanted = [[0, 2 / (np.sqrt(6) + 1), 1 / 3]]
    assert baselines.item_knn(PLAYS, 3, 1.0)(asked).tolist() == pytest.approx(np.array(wanted))
    # With one neighbour each, what counts is whether the heard track is the nearest of another, not the other way.
    similar = baselines.similar_tracks(PLAYS, 1, 1.0).toarray()
    assert (similar > 0).tolist() == [[False, True, False], [True, False, True], [False, True, False]]


def test_ease_by_hand_and_against_the_plain_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two tracks, three listeners of the first, two of the second, two of both, lambda 1: X'X + I = [[4, 2], [2, 3]],
    # P = [[3, -2], [-2, 4]] / 8, and -P_ij / P_jj gives B_01 = 2/4 and B_10 = 2/3.
    two = sparse.csr_matrix(np.array([[3, 1], [1, 1], [1, 0]], np.float32))
    assert baselines.ease_weights(two, 1.0).tolist() == pytest.approx(np.array([[0, 0.5], [2 / 3, 0]]))
    generator = np.random.default_rng(0)
    plays = sparse.csr_matrix((generator.random((200, 37)) < 0.2).astype(np.float32))
    monkeypatch.setattr(baselines, "COLUMNS_AT_ONCE", 10)
    inverse = np.linalg.inv((plays.T @ plays).toarray().astype(np.float64) + 5 * np.eye(37))
    wanted = inverse / -np.diag(inverse)
    np.fill_diagonal(wanted, 0)
    assert baselines.ease_weights(plays, 5.0) == pytest.approx(wanted, abs=2e-5)
    assert baselines.ease(plays, 5.0)(plays[:9]) == pytest.approx(plays[:9] @ wanted, abs=1e-4)
    with pytest.raises(UserError, match="EASE's matrix cannot be inverted in float32"):
        baselines.ease_weights(sparse.csr_matrix(np.ones((3, 4), np.float32)), 1e-30)


def test_a_search_begins_with_what_it_is_given_and_keeps_the_best() -> None:
    def value_of(parameters: AlsParameters) -> float:
        return -abs(np.log(parameters.alpha)) - abs(parameters.rank - 32)

    start = AlsParameters(rank=24, alpha=50.0, iterations=3)
    found, tried = search(start, 12, 1, value_of)
    assert {name: tried[0][name] for name in ("rank", "alpha", "iterations")} == {
        "rank": 24,
        "alpha": 50.0,
        "iterations": 3,
    }
    assert len(tried) == 12
    assert value_of(found) == max(one["ndcg@100"] for one in tried) > value_of(start)
    assert search(start, 12, 1, value_of) == (found, tried)


def test_what_cannot_be_done_is_refused() -> None:
    for make, message in (
        (lambda: AlsParameters(rank=0), "the rank is at least 1"),
        (lambda: AlsParameters(alpha=float("nan")), "alpha is a number above 0, not nan"),
        (lambda: AlsParameters(iterations=51), "iterations are 1 to 50, not 51"),
        (lambda: FactorSettings("w", held_out=0.5), "--held-out is a share from 0 to 0.4, not 0.5"),
        (lambda: FactorSettings("w", held_out=0, search=3), "--search judges by held-out users"),
        (lambda: FactorSettings("w", min_tracks=0), "--min-tracks is at least 1, not 0"),
    ):
        with pytest.raises(UserError, match=message):
            make()
