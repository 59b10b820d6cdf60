"""Songs as a model's features, one by one where one of them is not what a song must be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from msd_spark.core.features import segment_columns
from msd_spark.core.schemas import Geometry

NO_SEGMENTS, NOT_FINITE, LENGTH_MISMATCH = "no_segments", "not_finite", "length_mismatch"
"""Reasons for which a song has no features."""


class Refused(NamedTuple):
    """A song without features.

    Attributes
    ----------
    row : int
        Of the batch.
    reason, detail : str
    """

    row: int
    reason: str
    detail: str


class SongFeatures(NamedTuple):
    """The features of the songs of a batch that have any.

    Attributes
    ----------
    columns : dict
        ``chroma``, ``timbre`` and ``n_segments``, as `msd_spark.core.features.segment_columns` gives them.
    rows : numpy.ndarray
        Which songs of the batch they are, increasing.
    refused : list of Refused
        The others.
    """

    columns: dict[str, np.ndarray]
    rows: np.ndarray
    refused: list[Refused]


def song_features(batch: pa.RecordBatch, geometry: Geometry) -> SongFeatures:
    """Return the features of songs, and why some have none.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        With the columns that `msd_spark.core.features.song_columns` names; at least one song.
    geometry : Geometry
    """
    try:
        columns, rows = segment_columns(batch, geometry), np.arange(batch.num_rows)
        refused: list[Refused] = []
    except (ValueError, IndexError):
        columns, rows, refused = _one_by_one(batch, geometry)
    bad = _bad_rows(columns)
    if not bad:
        return SongFeatures(columns, rows, refused)
    good = np.array([place not in bad for place in range(len(rows))], bool)
    refused += [Refused(int(rows[place]), *why) for place, why in bad.items()]
    kept = {name: values[good] for name, values in columns.items()}
    return SongFeatures(kept, rows[good], sorted(refused))


def _bad_rows(columns: dict[str, np.ndarray]) -> dict[int, tuple[str, str]]:
    """Return why songs are refused though their features could be made, by their places."""
    finite = [np.isfinite(columns[name]).all(axis=(1, 2)) for name in ("chroma", "timbre")]
    bad = {
        int(place): (NOT_FINITE, f"{name} has numbers that are not finite")
        for name, fine in zip(("chroma", "timbre"), finite, strict=True)
        for place in np.flatnonzero(~fine)
    }
    empty = np.flatnonzero(columns["n_segments"] < 1)
    return bad | {int(place): (NO_SEGMENTS, "the song has no segments") for place in empty}


def _one_by_one(batch: pa.RecordBatch, geometry: Geometry) -> tuple[dict[str, np.ndarray], np.ndarray, list[Refused]]:
    made, rows, refused = [], [], []
    for row in range(batch.num_rows):
        try:
            # Taken, not sliced: a slice's lists still begin where the batch's do.
            made.append(segment_columns(batch.take(pa.array([row])), geometry))
            rows.append(row)
        except (ValueError, IndexError) as error:
            refused.append(Refused(row, LENGTH_MISMATCH, str(error)))
    shape = (0, *geometry.segments_shape)
    empty = {"chroma": np.zeros(shape, np.float32), "timbre": np.zeros(shape, np.float32)}
    made.insert(0, empty | {"n_segments": np.zeros(0, np.int32)})
    return {name: np.concatenate([part[name] for part in made]) for name in made[0]}, np.array(rows, int), refused
