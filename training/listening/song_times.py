"""When in a song the rows of an example sound."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as pads

from msd_spark.core.beats import BeatTimes, overlaps
from msd_spark.core.schemas import Geometry
from msd_spark.core.warehouse import Warehouse


class RowTimes(NamedTuple):
    """When the rows of an example begin.

    Attributes
    ----------
    starts : numpy.ndarray
        Shape ``(n,)``, seconds: of each row, those after the example's end included.
    end : float
        Where the last of them ends.
    """

    starts: np.ndarray
    end: float

    def span(self, first: int, count: int) -> tuple[float, float]:
        """Return when rows begin and end, in seconds."""
        after = first + count
        return float(self.starts[first]), float(self.starts[after] if after < len(self.starts) else self.end)


def row_times(times: BeatTimes, geometry: Geometry) -> RowTimes:
    """Return when the rows of a song's example begin, as `msd_spark.core.features.segment_features` chooses them."""
    segments = np.asarray(times.segments_start, float)
    starts = segments
    _, _, beat = overlaps(times)
    if geometry.segments == "beats" and len(beat):
        starts = np.asarray(times.beats_start, float)[np.unique(beat)]
    elif geometry.segments == "centre":
        starts = segments[max(0, len(segments) - geometry.n_segments) // 2 :]
    end = np.nanmax([times.duration, starts[-1]]) if len(starts) else np.nan
    return RowTimes(starts, float(end))


def read_row_times(warehouse: Warehouse, track_ids: Collection[str], geometry: Geometry) -> dict[str, RowTimes]:
    """Return the times of tracks, of those alone that ``songs/`` has."""
    if not (track_ids and warehouse.is_complete("songs")):
        return {}
    files = [info.path for info in warehouse.list_files(warehouse.path("songs")) if not info.base_name.startswith("_")]
    songs = pads.dataset(files, filesystem=warehouse.filesystem, format="parquet", partitioning=None)
    table = songs.to_table(
        ["track_id", "segments_start", "beats_start", "duration"],
        filter=pc.field("track_id").isin(sorted(track_ids)),
    )
    found = {}
    for row in table.to_pylist():
        duration = np.nan if row["duration"] is None else row["duration"]
        times = BeatTimes(np.array(row["segments_start"], float), np.array(row["beats_start"], float), duration)
        found[row["track_id"]] = row_times(times, geometry)
    return found
