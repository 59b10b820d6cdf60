"""A dataset of nothing but track ids: what readers of its splits need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from msd_spark.core.warehouse import Warehouse

SCHEMA = pa.schema([pa.field("track_id", pa.string())])


def write_dataset_tracks(warehouse: Warehouse, name: str, tracks: Mapping[str, Iterable[str]]) -> None:
    """Write ``dataset/NAME`` with the tracks of each split."""
    with warehouse.overwriting(SCHEMA, "dataset", name, partition_by="split") as writer:
        for number, (split, track_ids) in enumerate(tracks.items()):
            rows = pa.table([pa.array(list(track_ids), pa.string())], SCHEMA)
            writer.add([writer.destination.write(number, rows, split)])
