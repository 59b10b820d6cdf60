"""Deciles of ranks."""

from __future__ import annotations

import numpy as np

from msd_spark.core.schemas import DECILES


def deciles(ranks: np.ndarray, n_tracks: int) -> np.ndarray:
    """Return the decile of each rank: 9 for the first tenth of the tracks, 0 for the last.

    Rank `r` is in tenth number ``10 * (r - 1) // n_tracks``, so that the sizes of tenths differ by at most one.
    """
    tenths = (np.asarray(ranks, dtype=np.int64) - 1) * DECILES // max(n_tracks, 1)
    return (DECILES - 1 - tenths).astype(np.int32)
