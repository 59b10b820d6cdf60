from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.deciles import deciles
from msd_spark.plays.popularity import rank_tracks


@pytest.mark.parametrize(
    ("n_tracks", "expected"),
    [
        (0, []),
        # 9 - 10 (r - 1) // n: for n = 3 that is 9 - 0, 9 - 10 // 3, 9 - 20 // 3.
        (1, [9]),
        (2, [9, 4]),
        (3, [9, 6, 3]),
        (10, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        # n = 12: 10 (r - 1) // 12 = 0, 0 (10/12), 1 (20/12), 2 (30/12), 3 (40/12), 4 (50/12), 5 (60/12), 5 (70/12),
        # 6 (80/12), 7 (90/12), 8 (100/12), 9 (110/12).
        (12, [9, 9, 8, 7, 6, 5, 4, 4, 3, 2, 1, 0]),
        (20, [9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]),
    ],
)
def test_deciles_by_hand(n_tracks: int, expected: list[int]) -> None:
    assert deciles(np.arange(1, n_tracks + 1), n_tracks).tolist() == expected


@given(st.integers(1, 5000))
def test_deciles_decrease_and_differ_in_size_by_one_at_most(n_tracks: int) -> None:
    tenths = deciles(np.arange(1, n_tracks + 1), n_tracks)
    assert (np.diff(tenths) <= 0).all()
    sizes = np.bincount(tenths, minlength=10)
    assert sizes.max() - sizes.min() <= 1
    assert tenths[0] == 9


def test_ranks_by_plays_then_listeners_then_track() -> None:
    tracks = pd.DataFrame(
        [("TC", 5, 2), ("TB", 7, 1), ("TA", 5, 2), ("TD", 5, 3), ("TE", 1, 1)],
        columns=["track_id", "plays", "listeners"],
    )
    ranked = rank_tracks(tracks)
    assert ranked["track_id"].tolist() == ["TB", "TD", "TA", "TC", "TE"]
    assert ranked["popularity_rank"].tolist() == [1, 2, 3, 4, 5]
    assert ranked["popularity_decile"].tolist() == [9, 7, 5, 3, 1]  # 9 - 10 (r - 1) // 5
