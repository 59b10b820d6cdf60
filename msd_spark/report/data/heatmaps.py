"""Chroma and timbre of chosen songs, a byte a value, against the seconds at which segments begin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from msd_spark.core.schemas import GEOMETRY
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.scripts import packed

COLUMNS = ("segments_start", "segments_pitches", "segments_timbre", "duration")
LEVELS = 254
"""Steps of a byte between the least and the greatest value."""


@dataclass(frozen=True)
class Segments:
    """The segments of a song.

    Attributes
    ----------
    track_id : str
    edges : numpy.ndarray
        Shape ``(n_segments + 1,)``, seconds: where each segment begins, and where the last one ends.
    chroma, timbre : numpy.ndarray
        Shape ``(n_segments, 12)``, float32.
    """

    track_id: str
    edges: np.ndarray
    chroma: np.ndarray
    timbre: np.ndarray

    @classmethod
    def of(cls, row: dict[str, Any]) -> Segments | None:
        """Return the segments of a row of ``songs/``; None where its arrays are not of one length, or empty."""
        starts = np.asarray(row["segments_start"], np.float64)
        matrices = [np.asarray(row[name], np.float32) for name in ("segments_pitches", "segments_timbre")]
        if not len(starts) or any(len(flat) != len(starts) * GEOMETRY.n_pitches for flat in matrices):
            return None
        end = max(float(row["duration"] or 0), float(starts[-1]))
        chroma, timbre = (flat.reshape(-1, GEOMETRY.n_pitches) for flat in matrices)
        return cls(row["track_id"], np.append(starts, end), chroma, timbre)


def quantised(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a matrix with a byte a value, and each column's least and greatest value.

    Parameters
    ----------
    values : numpy.ndarray
        Shape ``(n, columns)``.

    Returns
    -------
    bytes : numpy.ndarray
        Shape ``(columns, n)``, uint8: a value is ``low + byte / LEVELS * (high - low)``, wrong by half a step at most;
        not a number is 255.
    low, high : numpy.ndarray
        Shape ``(columns,)``, float32.
    """
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    known = np.isfinite(finite).any(axis=0)
    low = np.where(known, np.nanmin(np.where(known, finite, 0), axis=0), 0).astype(np.float32)
    high = np.where(known, np.nanmax(np.where(known, finite, 0), axis=0), 0).astype(np.float32)
    width = np.where(high > low, high.astype(np.float64) - low, 1)
    scaled = np.rint(np.clip((finite - low) / width, 0, 1) * LEVELS)
    return np.where(np.isfinite(scaled), scaled, 255).astype(np.uint8).T, low, high


def heatmap_data(segments: Segments) -> dict[str, Any]:
    """Return the page's data of a song's heatmaps."""
    content: dict[str, Any] = {"edges": packed(segments.edges.astype(np.float32)), "levels": LEVELS}
    for name, values in (("chroma", segments.chroma), ("timbre", segments.timbre)):
        levels, low, high = quantised(values)
        content[name] = {"levels": packed(levels), "low": [float(v) for v in low], "high": [float(v) for v in high]}
    return content


def read_segments(warehouse: Warehouse, track_ids: list[str]) -> Iterator[Segments]:
    """Yield the segments of songs of ``songs/``, in the order in which they lie there.

    Only row groups that hold one of the songs are read. A song without segments is passed over.
    """
    wanted, seen = pa.array(track_ids, pa.string()), set()
    for path in warehouse.table_files("songs").paths if track_ids else ():
        with warehouse.filesystem.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["track_id"])["track_id"]
                rows = np.flatnonzero(pc.is_in(ids, value_set=wanted).to_numpy())
                if not len(rows):
                    continue
                for row in file.read_row_group(group, columns=["track_id", *COLUMNS]).take(rows).to_pylist():
                    found = Segments.of(row) if row["track_id"] not in seen else None
                    if found is not None:
                        seen.add(found.track_id)
                        yield found
