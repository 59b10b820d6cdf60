"""Decode the data that the report's scripts read."""

from __future__ import annotations

import base64

import numpy as np

from msd_spark.report.data.song_vectors import ZERO
from msd_spark.report.scripts import PACKED_TYPES


def unpacked(content: dict[str, str]) -> np.ndarray:
    """Return the flat array that was packed."""
    return np.frombuffer(base64.b64decode(content["bytes"]), np.dtype(f"<{PACKED_TYPES[content['type']]}"))


def restored(levels: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return quantised vectors as float64; zero for missing ones."""
    return (levels.astype(np.float64) - ZERO) * steps[:, None].astype(np.float64)
