"""Ranking songs that nobody has heard: by hand, and on users whose taste is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from msd_spark.factors.cold_ranking import RANDOM, Places, judge_cold, profiles, table


def test_profiles_by_hand() -> None:
    # The songs' unit vectors are (1, 0), (0, 1) and (0.6, 0.8); the third user plays nothing.
    features = np.array([[2.0, 0], [0, 5], [3, 4]])
    history = sparse.csr_matrix(np.array([[7, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32))
    assert profiles(history, features) == pytest.approx(np.array([[0.5, 0.5], [0.6, 0.8], [0, 0]]))


def test_figures_of_one_user_by_hand() -> None:
    # Scores are 3, 2, 1; songs 1 and 2 are played. NDCG: (1/log2(3) + 1/2) / (1 + 1/log2(3)) = 1.130930 / 1.630930.
    # Of the two pairs with song 0 none is in order: AUC 0.
    judged = judge_cold(
        {"one": Places(np.ones((1, 1), np.float32), np.array([[3], [2], [1]], np.float32))},
        sparse.csr_matrix(np.array([[0, 1, 4]], np.float32)),
        seed=0,
    )
    assert judged["one"]["ndcg@100"][0] == pytest.approx(1.130930 / 1.630930, rel=1e-5)
    assert judged["one"]["auc"] == [0, 0, 0]


def test_who_knows_the_taste_leads_and_who_knows_nothing_does_not() -> None:
    generator = np.random.default_rng(0)
    users, songs = (generator.normal(size=(n, 4)).astype(np.float32) for n in (400, 150))
    heard = sparse.csr_matrix(users @ songs.T > 3)
    enough = np.diff(heard.indptr) > 0
    users, heard = users[enough], heard[enough]
    nothing = generator.normal(size=songs.shape).astype(np.float32)
    judged = judge_cold({"true": Places(users, songs), "noise": Places(users, nothing)}, heard, seed=1)
    assert judged["true"]["auc"] == pytest.approx([1, 1, 1])
    assert judged["true"]["ndcg@100"] == pytest.approx([1, 1, 1])
    value, low, high = judged[RANDOM]["auc"]
    assert low < 0.5 < high
    assert low < value < high
    lead = judged["true"]["over_random"]["auc"]
    assert lead[0] == pytest.approx(1 - value)
    assert lead[1] > 0.4
    assert "over_random" not in judged[RANDOM]
    assert len(table(judged).splitlines()) == 5
