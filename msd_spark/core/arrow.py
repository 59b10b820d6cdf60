"""Convert between numpy and Arrow, and write Parquet files of one row group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.warehouse import Warehouse


def rows_to_lists(rows: np.ndarray, kind: pa.ListType) -> pa.ListArray:
    """Return an array of shape ``(n, …)`` as `n` lists of its flattened rows."""
    width = int(np.prod(rows.shape[1:]))
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(width)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)), type=kind)


def write_row_group(
    warehouse: Warehouse, table: pa.Table, path: str, *, compression: str, dictionary: Sequence[str]
) -> None:
    """Write a Parquet file of one row group, complete or not at all.

    `path` is for the warehouse's filesystem; the columns in `dictionary` get one. Only ``track_id`` has statistics.
    """
    with warehouse.finished_file(path) as unfinished:
        pq.write_table(
            table,
            unfinished,
            filesystem=warehouse.filesystem,
            row_group_size=max(1, table.num_rows),
            compression=compression,
            use_dictionary=list(dictionary),
            write_statistics=["track_id"],
        )
