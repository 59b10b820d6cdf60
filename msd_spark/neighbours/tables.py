"""Rows of ``neighbours/RUN``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from msd_spark.core.schemas import NEIGHBOURS
from msd_spark.neighbours.exact import NONE, Neighbours


def neighbour_rows(track_ids: np.ndarray, first: int, found: Neighbours) -> pa.Table:
    """Return rows of ``neighbours/RUN``.

    Parameters
    ----------
    track_ids : numpy.ndarray
        Shape ``(n,)``, str or UTF-8 bytes: of all songs.
    first : int
        Number of the song whose neighbours stand first in `found`.
    found : Neighbours
    """
    there = found.places != NONE
    query, rank = np.nonzero(there)
    columns = {
        "track_id": pa.array(track_ids[first + query]),
        "rank": pa.array(rank + 1),
        "neighbour_id": pa.array(track_ids[found.places[there]]),
        "distance": pa.array(found.distances[there]),
    }
    return pa.table([columns[field.name].cast(field.type) for field in NEIGHBOURS], schema=NEIGHBOURS)
