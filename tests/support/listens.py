"""Small tables of listens for tests."""

from __future__ import annotations

import numpy as np

from msd_spark.factors.listens import Listens, make_listens


def listens_of(matrix: np.ndarray) -> Listens:
    """Return listens of a matrix of plays, with ids u000, u001, … and t000, t001, …."""
    user, track = np.nonzero(matrix)
    ids = [[f"{kind}{number:03}" for number in range(size)] for kind, size in zip("ut", matrix.shape, strict=True)]
    return make_listens(user, ids[0], track, ids[1], matrix[user, track])
