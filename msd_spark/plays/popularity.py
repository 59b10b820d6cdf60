"""Popularity of tracks: ranks by plays, and deciles."""

from __future__ import annotations

import numpy as np
import pandas as pd

from msd_spark.core.deciles import deciles


def rank_tracks(tracks: pd.DataFrame) -> pd.DataFrame:
    """Sort tracks by plays; add ``popularity_rank``, from 1, and ``popularity_decile``.

    Tracks have ``track_id``, ``plays`` and ``listeners``. Equal plays are ordered by listeners, and then by track id.
    """
    ranked = tracks.sort_values(["plays", "listeners", "track_id"], ascending=[False, False, True], ignore_index=True)
    ranks = np.arange(1, len(ranked) + 1, dtype=np.int32)
    return ranked.assign(popularity_rank=ranks, popularity_decile=deciles(ranks, len(ranked)))
