"""Start and end times of the rows of an example within its song."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow.compute as pc

from msd_spark.core.beats import BeatTimes, overlaps
from msd_spark.core.schemas import Geometry
from msd_spark.core.warehouse import Warehouse


def row_times(times: BeatTimes, geometry: Geometry) -> np.ndarray:
    """Return the start times of an example's rows, and the end of the last, in seconds.

    The shape is ``(n + 1,)``. The rows are chosen as by `msd_spark.core.features.segment_features`, and include those
    after the example's end.
    """
    starts = segments = np.asarray(times.segments_start, float)
    _, _, beat = overlaps(times)
    if geometry.segments == "beats" and len(beat):
        starts = np.asarray(times.beats_start, float)[np.unique(beat)]
    elif geometry.segments == "centre":
        starts = segments[max(0, len(segments) - geometry.n_segments) // 2 :]
    return np.append(starts, np.nanmax([times.duration, starts[-1]]) if len(starts) else np.nan)


def span(times: np.ndarray, first: int, count: int) -> tuple[float, float]:
    """Return the start and end of rows, in seconds, from the result of `row_times`."""
    return float(times[first]), float(times[min(first + count, len(times) - 1)])


def read_row_times(warehouse: Warehouse, track_ids: Collection[str], geometry: Geometry) -> dict[str, np.ndarray]:
    """Return the row times of the tracks that are in ``songs/``."""
    if not (track_ids and warehouse.is_complete("songs")):
        return {}
    columns = ["track_id", "segments_start", "beats_start", "duration"]
    table = warehouse.read_table(columns, "songs", filter=pc.field("track_id").isin(sorted(track_ids)))
    by_track = {}
    for row in table.to_pylist():
        duration = np.nan if row["duration"] is None else row["duration"]
        times = BeatTimes(np.array(row["segments_start"], float), np.array(row["beats_start"], float), duration)
        by_track[row["track_id"]] = row_times(times, geometry)
    return by_track
