"""Convert between numpy and Arrow; options of Parquet files with one row group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def rows_to_lists(rows: np.ndarray, kind: pa.ListType) -> pa.ListArray:
    """Return an array of shape ``(n, …)`` as `n` lists of its flattened rows."""
    width = int(np.prod(rows.shape[1:]))
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(width)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)), type=kind)


def one_row_group(rows: pa.Table, *, compression: str | Mapping[str, str], dictionary: Sequence[str]) -> dict[str, Any]:
    """Return the options of `pyarrow.parquet.write_table` for a file of one row group.

    The columns in `dictionary` are dictionary-encoded. Only ``track_id`` has statistics.
    """
    return {
        "row_group_size": max(1, rows.num_rows),
        "compression": compression,
        "use_dictionary": list(dictionary),
        "write_statistics": ["track_id"],
    }
