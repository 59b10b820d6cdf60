"""Popularity of tracks: ranks by plays, and deciles."""

from __future__ import annotations

import numpy as np
import pandas as pd

from msd_spark.core.schemas import DECILES


def rank_tracks(tracks: pd.DataFrame) -> pd.DataFrame:
    """Sort tracks by plays; add ``popularity_rank``, from 1, and ``popularity_decile``.

    Tracks have ``track_id``, ``plays`` and ``listeners``. Equal plays are ordered by listeners, and then by track id.
    """
    ranked = tracks.sort_values(["plays", "listeners", "track_id"], ascending=[False, False, True], ignore_index=True)
    ranks = np.arange(1, len(ranked) + 1, dtype=np.int32)
    return ranked.assign(popularity_rank=ranks, popularity_decile=deciles(ranks, len(ranked)))


def deciles(ranks: np.ndarray, n_tracks: int) -> np.ndarray:
    """Return the decile of each rank: 9 for the first tenth of the tracks, 0 for the last.

    Rank `r` is in tenth number ``10 * (r - 1) // n_tracks``, so that the sizes of tenths differ by at most one.
    """
    tenths = (np.asarray(ranks, dtype=np.int64) - 1) * DECILES // max(n_tracks, 1)
    return (DECILES - 1 - tenths).astype(np.int32)
