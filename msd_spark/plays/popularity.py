"""How popular tracks are: their rank by plays, and the tenth of all tracks that they are in. Pure functions."""

from __future__ import annotations

import numpy as np
import pandas as pd

DECILES = 10


def rank_tracks(tracks: pd.DataFrame) -> pd.DataFrame:
    """Return tracks with their popularity, the most played one first.

    Tracks with as many plays stand in the order of their listeners, the most first, and then of their ids.

    Parameters
    ----------
    tracks : pandas.DataFrame
        A row a track: ``track_id``, ``plays``, ``listeners``.

    Returns
    -------
    pandas.DataFrame
        With ``popularity_rank``, from 1, and ``popularity_decile``, see `deciles`.
    """
    ranked = tracks.sort_values(["plays", "listeners", "track_id"], ascending=[False, False, True], ignore_index=True)
    ranks = np.arange(1, len(ranked) + 1, dtype=np.int32)
    return ranked.assign(popularity_rank=ranks, popularity_decile=deciles(ranks, len(ranked)))


def deciles(ranks: np.ndarray, n_tracks: int) -> np.ndarray:
    """Return the decile of each rank among `n_tracks`: 9 for the first tenth, 0 for the last.

    Where the tracks cannot be parted into ten equal parts, a rank `r` is in the part into which the share
    ``(r - 1) / n_tracks`` of the tracks before it falls.
    """
    before = (np.asarray(ranks, dtype=np.int64) - 1) * DECILES // max(n_tracks, 1)
    return (DECILES - 1 - before).astype(np.int32)
