from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from msd_spark.factors.ranking import NONE, best, recommend


@given(
    st.lists(st.lists(st.sampled_from([-math.inf, 0.0, 1.0, 2.0]), min_size=7, max_size=7), min_size=1, max_size=4),
    st.integers(1, 9),
)
def test_best_equals_a_full_sort(rows: list[list[float]], k: int) -> None:
    lists = best(np.array(rows), k)
    for row, places in zip(rows, lists.tolist(), strict=True):
        expected = [
            place for _, place in sorted((-score, place) for place, score in enumerate(row) if score > -math.inf)
        ]
        assert places == (expected + [NONE] * k)[:k]


def test_history_is_never_recommended() -> None:
    history = sparse.csr_matrix(np.array([[0, 5, 0, 1], [1, 1, 1, 1]], np.float32))
    lists = recommend(lambda asked: np.tile(np.array([1, 9, 5, 9], np.float32), (asked.shape[0], 1)), history, 3)
    assert lists.tolist() == [[2, 0, NONE], [NONE] * 3]
