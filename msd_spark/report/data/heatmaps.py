"""Chroma and timbre of sampled songs, one byte per value, and start times of segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.schemas import GEOMETRY
from msd_spark.core.warehouse import Warehouse, reading
from msd_spark.report.scripts import packed, packed_rows

COLUMNS = ("segments_start", "segments_pitches", "segments_timbre", "duration")


@dataclass(frozen=True)
class Segments:
    """Segments of a song; chroma and timbre have the shape ``(n_segments, 12)``."""

    track_id: str
    edges: np.ndarray  # the start of each segment and the end of the last, in seconds
    chroma: np.ndarray
    timbre: np.ndarray

    @classmethod
    def of(cls, row: dict[str, Any]) -> Segments | None:
        """Return the segments of a row of ``songs/``; None if arrays are empty or differ in length."""
        starts = np.asarray(row["segments_start"], np.float64)
        matrices = [np.asarray(row[name], np.float32) for name in ("segments_pitches", "segments_timbre")]
        if not len(starts) or any(len(flat) != len(starts) * GEOMETRY.n_pitches for flat in matrices):
            return None
        end = max(float(row["duration"] or 0), float(starts[-1]))
        chroma, timbre = (flat.reshape(-1, GEOMETRY.n_pitches) for flat in matrices)
        return cls(row["track_id"], np.append(starts, end), chroma, timbre)


def heatmap_data(segments: Segments) -> dict[str, Any]:
    """Return the data of a song's heat maps."""
    return {
        "edges": packed(segments.edges.astype(np.float32)),
        "chroma": packed_rows(segments.chroma.T),
        "timbre": packed_rows(segments.timbre.T),
    }


def read_segments(warehouse: Warehouse, track_ids: list[str]) -> Iterator[Segments]:
    """Yield the segments of tracks that have some, in the order of ``songs/``.

    Only row groups with one of the tracks are read.
    """
    remaining = set(track_ids)
    for path in warehouse.paths("songs"):
        if not remaining:
            return
        with reading(path, "songs"), warehouse.filesystem.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["track_id"])["track_id"]
                rows = np.flatnonzero(pc.is_in(ids, value_set=pa.array(remaining, pa.string())).to_numpy())
                if not len(rows):
                    continue
                table = file.read_row_group(group, columns=["track_id", *COLUMNS])
                for row in rows:
                    # Arrow's own conversion to Python makes one object per number, which takes ten times as long.
                    values = {name: table[name][int(row)] for name in ("track_id", *COLUMNS)}
                    arrays = {name: values[name].values.to_numpy() for name in COLUMNS[:3]}
                    scalars = {name: values[name].as_py() for name in ("track_id", "duration")}
                    segments = Segments.of(arrays | scalars) if scalars["track_id"] in remaining else None
                    if segments is not None:
                        remaining.discard(segments.track_id)
                        yield segments
