"""Cells over the map: songs are ordered by cell, so that those in view are few ranges of rows. Reads no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from msd_spark.report.scripts import packed

SONGS_PER_CELL = 250
STEPS = 65535
"""Steps of a position within its cell; ``songs.js`` has the same number."""


@dataclass(frozen=True)
class Grid:
    """``side`` columns and rows of equal cells, numbered row by row from the bottom left.

    `low` and `size` are the left bottom corner of the map and the width and height of a cell, shape ``(2,)``.
    """

    side: int
    low: np.ndarray
    size: np.ndarray

    @classmethod
    def over(cls, places: np.ndarray, side: int | None = None) -> Grid:
        """Return a grid over places, shape ``(n, 2)``; by default with `SONGS_PER_CELL` songs per cell on average."""
        side = side or max(1, int(np.ceil(np.sqrt(len(places) / SONGS_PER_CELL))))
        low, high = places.min(axis=0).astype(np.float64), places.max(axis=0).astype(np.float64)
        return cls(side, low, np.where(high > low, high - low, 1) / side)

    def _inside(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return column and row of each place, and its position in that cell from 0 to 1."""
        along = (places - self.low) / self.size
        cells = np.clip(np.floor(along), 0, self.side - 1).astype(np.int64)
        return cells, np.clip(along - cells, 0, 1)

    def cells(self, places: np.ndarray) -> np.ndarray:
        """Return the cell of each place."""
        columns, rows = self._inside(places)[0].T
        return rows * self.side + columns

    def data(self, places: np.ndarray) -> dict[str, Any]:
        """Return the data of places that are ordered by cell; the error is at most half a step of a cell."""
        cells = self.cells(places)
        if (np.diff(cells) < 0).any():
            raise ValueError("the places are not ordered by cell")
        offsets = np.rint(self._inside(places)[1] * STEPS).astype(np.uint16)
        starts = np.searchsorted(cells, np.arange(self.side**2 + 1)).astype(np.uint32)
        return {
            "side": self.side,
            "low": self.low.tolist(),
            "size": self.size.tolist(),
            "starts": packed(starts),
            "x": packed(offsets[:, 0]),
            "y": packed(offsets[:, 1]),
        }
