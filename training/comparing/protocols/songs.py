"""Read the songs of a protocol from ``songs/``: ids and years of all, features of those in its divisions."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from msd_spark.core.features import TIMBRE as TIMBRE_COLUMN
from msd_spark.core.features import segment_columns, song_columns
from msd_spark.core.model_inputs import SUMMARY as SUMMARY_INPUT
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.schemas import GEOMETRY
from msd_spark.core.song_summary import SUMMARY_SIZE
from msd_spark.core.warehouse import Warehouse
from training.comparing.protocols.contract import TIMBRE
from training.comparing.protocols.features import SIZE, timbre_moments
from training.evaluation.mapping import Mapper

LIGHT = ("track_id", "song_id", "artist_id", "year", "n_segments")
"""Columns of ``songs/`` that truths and divisions are made of."""


def read_light(warehouse: Warehouse) -> pd.DataFrame:
    """Return the columns `LIGHT` of every song, sorted by track id; a song without artist is its own artist."""
    songs = warehouse.read_table(LIGHT, "songs").to_pandas().drop_duplicates("track_id")
    songs["artist_id"] = songs["artist_id"].fillna(songs["track_id"])
    return songs.sort_values("track_id", ignore_index=True)


def read_values(warehouse: Warehouse, track_ids: np.ndarray, features: str, mapper: Mapper) -> np.ndarray:
    """Return the features of tracks, sorted by id: shape ``(n, k)``, float32; zero for a track not in ``songs/``.

    Files are shared by `mapper`. A song must have two segments for the timbre features.
    """
    paths, wanted = warehouse.paths("songs"), pa.array(track_ids, pa.string())
    values = np.zeros((len(track_ids), SIZE if features == TIMBRE else SUMMARY_SIZE), np.float32)
    with tqdm(total=len(paths), desc="protocol: songs", unit="file", file=sys.stderr) as bar:

        def read(path: str) -> tuple[np.ndarray, np.ndarray]:
            result = _of_file(warehouse, path, wanted, features)
            bar.update()
            return result

        for ids, own in mapper(read, paths):
            values[np.searchsorted(track_ids, ids)] = own
    return values


def _of_file(warehouse: Warehouse, path: str, track_ids: pa.Array, features: str) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and features of the tracks of a file that are among `track_ids`."""
    own = [TIMBRE_COLUMN] if features == TIMBRE else song_columns(GEOMETRY, (SUMMARY_INPUT,))
    columns = list(dict.fromkeys(["track_id", *own]))
    file, ids, values = RowGroups(warehouse.filesystem, path), [], []
    for number in range(len(file.rows)):
        table = file.fetch(columns, [number]).read_row_group(number, columns=columns, use_threads=False)
        songs = table.filter(pc.is_in(table["track_id"], value_set=track_ids))
        if not songs.num_rows:
            continue
        ids.append(np.array(songs["track_id"].to_pylist(), str))
        batch = songs.combine_chunks().to_batches()[0]
        if features == TIMBRE:
            rows = [timbre_moments(song.values.to_numpy()) for song in batch.column(TIMBRE_COLUMN)]
            values.append(np.array(rows, np.float32))
        else:
            values.append(segment_columns(batch, GEOMETRY, (SUMMARY_INPUT,))[SUMMARY_INPUT])
    width = SIZE if features == TIMBRE else SUMMARY_SIZE
    return np.concatenate([np.empty(0, str), *ids]), np.concatenate([np.empty((0, width), np.float32), *values])
