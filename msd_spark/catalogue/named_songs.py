"""The songs of a run for the index of names, and how well each is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from msd_spark.catalogue.name_index import Named
from msd_spark.core.warehouse import Warehouse

POPULARITY = "popularity"

MEASURES = ("song_hotttnesss", "artist_familiarity", "artist_hotttnesss")
"""Columns of ``songs/``, mostly 0 to 1, that measure how well a song is known."""

UNMEASURED = 0.2
"""Measure of a song without one: that is below most of the others."""

COLUMNS = ("track_id", "artist_name", "title", "release", "year", *MEASURES)


def read_named_songs(warehouse: Warehouse, track_ids: pa.Array) -> list[Named]:
    """Return the songs of tracks, the best known first; tracks that are not in ``songs/`` are left out."""
    songs = warehouse.read_table(list(COLUMNS), "songs").to_pandas().drop_duplicates("track_id")
    songs = songs[songs["track_id"].isin(pd.Index(track_ids.to_pandas()))].reset_index(drop=True)
    plays = None
    if warehouse.is_complete(POPULARITY):
        table = warehouse.read_table(["track_id", "plays"], POPULARITY).to_pandas().drop_duplicates("track_id")
        plays = table.set_index("track_id")["plays"].reindex(songs["track_id"]).to_numpy(float, na_value=0.0)
    songs = songs.assign(known=known(songs[list(MEASURES)].to_numpy(float, na_value=np.nan), plays))
    songs = songs.sort_values(["known", "track_id"], ascending=[False, True], ignore_index=True)
    return list(_rows(songs))


def _rows(songs: pd.DataFrame) -> Iterator[Named]:
    texts = [songs[name].tolist() for name in COLUMNS[:4]]  # None if unknown
    years = [int(year) if year else None for year in songs["year"].fillna(0)]
    for number, row in enumerate(zip(*texts, years, songs["known"].tolist(), strict=True)):
        yield Named(number, *row)


def known(measures: np.ndarray, plays: np.ndarray | None) -> np.ndarray:
    """Return how well songs are known, 0 to 1: shape ``(n,)``.

    It is the mean of the measures, and of the logarithm of the plays in proportion to that of the most played song.

    Parameters
    ----------
    measures : numpy.ndarray
        Shape ``(n, 3)``, the `MEASURES`; NaN if unknown.
    plays : numpy.ndarray or None
        Shape ``(n,)``: plays of each song, 0 without any; None without play counts.
    """
    mean = np.clip(np.where(np.isnan(measures), UNMEASURED, measures), 0, 1).mean(axis=1)
    if plays is None or not plays.max(initial=0):
        return np.asarray(mean)
    return np.asarray((mean + np.log1p(plays) / np.log1p(plays.max())) / 2)
