from __future__ import annotations

import numpy as np
import pytest

from msd_spark.core.errors import UserError
from msd_spark.factors.held_out import LEAST_TRACKS, TEST, TRAIN, VALIDATION, parts_of, split
from tests.support.listens import listens_of


def test_held_out_users_are_unseen_in_training_and_a_fifth_of_their_tracks_is_held_out() -> None:
    generator = np.random.default_rng(0)
    listens = listens_of((generator.random((400, 60)) < 0.2) * generator.integers(1, 9, (400, 60)))
    parts = split(listens, 0.15, 3)
    part = parts_of(listens.users, 0.15, 3)
    assert parts.train.users.tolist() == listens.users[part == TRAIN].tolist()
    assert np.bincount(part).tolist() == pytest.approx([280, 60, 60], abs=25)
    whole = listens.plays[:, np.isin(listens.tracks, parts.train.tracks)].toarray()
    for name, part_users in ((VALIDATION, parts.validation), (TEST, parts.test)):
        rows = whole[part == name]
        enough = (rows > 0).sum(axis=1) >= LEAST_TRACKS
        assert part_users.too_few == (~enough).sum()
        # History and held-out tracks split the listens.
        assert ((part_users.history + part_users.held_out).toarray() == rows[enough]).all()
        assert not part_users.history.multiply(part_users.held_out).nnz
        assert (part_users.n_held == (rows[enough] > 0).sum(axis=1) // 5).all()
    # A user's split does not depend on the other users.
    fewer = listens.of_users(np.arange(100, 400))
    assert parts_of(fewer.users, 0.15, 3).tolist() == part[100:].tolist()
    again = split(fewer, 0.15, 3)
    for user in set(fewer.users[part[100:] == TEST]):
        one = np.flatnonzero(listens.users[part == TEST][whole_enough(whole, part)] == user)
        other = np.flatnonzero(fewer.users[part[100:] == TEST][whole_enough(whole[100:], part[100:])] == user)
        assert (parts.test.held_out[one].toarray() == again.test.held_out[other].toarray()).all()
    assert parts_of(listens.users, 0.15, 4).tolist() != part.tolist()


def whole_enough(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
    return np.asarray((whole[part == TEST] > 0).sum(axis=1) >= LEAST_TRACKS)


def test_too_few_users_are_rejected() -> None:
    with pytest.raises(UserError, match=r"have 3, 0 and 0 of 3 users; .* 0 to skip the evaluation"):
        split(listens_of(np.ones((3, 3))), 0.1, 0)
