from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.factors.listens import keep_frequent, make_listens
from tests.support.listens import listens_of


def test_rare_users_and_tracks_are_dropped_until_none_is_left() -> None:
    # Track 3 has one listener, user 3; without it user 3 has one track, and without user 3 track 2 has one listener.
    plays = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]])
    listens, rounds = keep_frequent(listens_of(plays), 2, 2)
    assert listens.tracks.tolist() == ["t000", "t001"]
    assert listens.users.tolist() == ["u000", "u001", "u002"]
    assert rounds == [
        {"users": 3, "tracks": 3, "pairs": 7},
        {"users": 3, "tracks": 2, "pairs": 6},
        {"users": 3, "tracks": 2, "pairs": 6},
    ]
    with pytest.raises(UserError, match="no user has 3 tracks with 3 listeners each; lower --min-tracks"):
        keep_frequent(listens_of(plays), 3, 3)
    with pytest.raises(UserError, match="plays/ has 1 repeated pairs"):
        make_listens(np.array([0, 0]), ["u"], np.array([0, 0]), ["t"], np.array([1, 2]))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=30)
def test_result_is_the_largest_frequent_subset(seed: int, tracks: int, listeners: int) -> None:
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
        frequent, _ = keep_frequent(listens_of(plays), tracks, listeners)
        assert (frequent.plays.toarray() > 0).tolist() == left[left.any(axis=1)][:, left.any(axis=0)].tolist()
    else:
        with pytest.raises(UserError):
            keep_frequent(listens_of(plays), tracks, listeners)
