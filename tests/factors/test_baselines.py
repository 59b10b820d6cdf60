from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from msd_spark.core.errors import UserError
from msd_spark.factors import baselines

# Three users, three tracks; user 0 has heard 0 and 1, user 1 has heard 1 and 2, user 2 all three.
PLAYS = sparse.csr_matrix(np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]], np.float32))


def test_popularity_and_item_knn_by_hand() -> None:
    asked = sparse.csr_matrix(np.array([[1, 0, 0]], np.float32))
    assert baselines.popularity(PLAYS)(asked).tolist() == [[2, 3, 2]]
    # Tracks 0 and 1 share two listeners of 2 and 3: 2 / (sqrt(6) + 1); tracks 0 and 2 share one: 1 / (2 + 1).
    expected = [[0, 2 / (np.sqrt(6) + 1), 1 / 3]]
    assert baselines.item_knn(PLAYS, 3, 1.0)(asked).tolist() == pytest.approx(np.array(expected))
    # With one neighbour each, a row keeps its own nearest track, which need not be mutual.
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
    expected = inverse / -np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert baselines.ease_weights(plays, 5.0) == pytest.approx(expected, abs=2e-5)
    assert baselines.ease(plays, 5.0)(plays[:9]) == pytest.approx(plays[:9] @ expected, abs=1e-4)
    with pytest.raises(UserError, match="EASE's matrix is singular in float32"):
        baselines.ease_weights(sparse.csr_matrix(np.ones((3, 4), np.float32)), 1e-30)
