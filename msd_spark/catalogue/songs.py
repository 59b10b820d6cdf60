"""Read the songs of the warehouse without segments, but with their position in the files.

It is read on the driver. A million tracks take about 1 GB, mostly for names and titles, which are dropped once the
artists are grouped.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa

from msd_spark.catalogue.artist_groups import group_artists
from msd_spark.catalogue.names import normalise_name
from msd_spark.core.errors import UserError
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.warehouse import READERS, Warehouse

LIGHT = ("track_id", "song_id", "artist_id", "artist_name", "title", "n_segments")
"""Columns of ``songs/`` that determine the split of a song."""

NAMES = ("song_id", "artist_id", "artist_name", "title")
"""Columns of ``songs/`` that identify a song and its artist."""


def normalised_names(names: pd.Series) -> pd.Series:
    """Return artist names or titles in the form of `normalise_name`, null where they are."""
    forms = {name: normalise_name(name) for name in names.dropna().unique()}
    return names.map(forms)


def read_songs(warehouse: Warehouse, duplicates: pd.DataFrame | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Return every song of ``songs/``, sorted by track id, and the paths of the table's files.

    Columns: ``track_id``, ``song_id``, ``artist_id``, ``artist_group``, ``n_segments``, ``source_file`` (index in the
    list of files), ``row_group`` and ``source_row`` (row within the row group). Each track must be there only once.
    `duplicates` link artists, as in `group_artists`.
    """
    paths = warehouse.paths("songs")
    with ThreadPoolExecutor(READERS) as pool:
        parts = list(pool.map(lambda path: _read_file(warehouse, path), paths))
    places = [part.num_rows for part in parts]
    songs = pa.concat_tables(parts).to_pandas() if parts else pd.DataFrame(columns=[*LIGHT, "row_group", "source_row"])
    songs["source_file"] = np.repeat(np.arange(len(parts), dtype=np.int32), places)
    repeated = songs["track_id"][songs["track_id"].duplicated()]
    if len(repeated):
        raise UserError(f"songs/ has {repeated.iloc[0]} twice ({len(repeated)} such rows); run msd-spark ingest again")
    songs["artist_group"] = group_artists(songs, duplicates)
    tracks = songs.drop(columns=["artist_name", "title"])
    tracks["artist_id"] = tracks["artist_id"].astype("category")  # a million strings would take 80 MB
    return tracks.sort_values("track_id", ignore_index=True), paths


def _read_file(warehouse: Warehouse, path: str) -> pa.Table:
    file = RowGroups(warehouse.filesystem, path)
    table = file.fetch(LIGHT).read(list(LIGHT), use_threads=False)
    row_groups = np.repeat(np.arange(len(file.rows), dtype=np.int32), file.rows)
    rows = np.concatenate([np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in file.rows)])
    table = table.append_column("row_group", pa.array(row_groups))
    return table.append_column("source_row", pa.array(rows))


def read_names(warehouse: Warehouse, track_ids: np.ndarray) -> pd.DataFrame:
    """Return the `NAMES` of tracks, in their order; null for a track not in ``songs/``."""
    songs = warehouse.read_table(["track_id", *NAMES], "songs").to_pandas().drop_duplicates("track_id")
    return songs.set_index("track_id").reindex(track_ids)
