"""Read the tracks of ``factors/`` in the form of a run's embeddings."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as pads

from msd_spark.catalogue.embeddings import Embedded
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.settings import FACTORS

TRACK = "track"


def read_track_factors(warehouse: Warehouse) -> Embedded:
    """Return the tracks of ``factors/``, without predicted genres or lyrics."""
    table = warehouse.read_table(["id", "factors"], FACTORS, filter=pads.field("kind") == TRACK).sort_by("id")
    track_ids = table["id"].to_numpy().astype(str)
    sizes = pc.unique(pc.list_value_length(table["factors"])).to_pylist()
    if len(sizes) != 1 or len(np.unique(track_ids)) != len(track_ids):
        raise UserError(
            f"factors/ has {len(track_ids)} tracks with {sizes} factors, or a track twice; run msd-spark factors again"
        )
    vectors = table["factors"].combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    n_tracks = len(track_ids)
    return Embedded(
        track_ids, vectors.reshape(n_tracks, -1), np.full(n_tracks, "", dtype="<U1"), np.zeros(n_tracks, bool)
    )
