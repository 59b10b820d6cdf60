"""A map as one Parquet file for Embedding Atlas, with a column of neighbours.

References
----------
.. [1] Embedding Atlas, command line utility, https://apple.github.io/embedding-atlas/tool.html: ``--x``, ``--y`` and
   ``--neighbors``, a column of ``{"ids": […], "distances": […]}`` whose ids are zero-based rows of the file.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

ATLAS_FILE = "embedding-atlas.parquet"
COMMAND = "embedding-atlas"

NEIGHBOURS_COLUMN = "neighbors"
NEIGHBOURS_TYPE = pa.struct([("ids", pa.list_(pa.int32())), ("distances", pa.list_(pa.float32()))])

ATLAS = pa.schema(
    [
        ("track_id", pa.string()),
        ("x", pa.float32()),
        ("y", pa.float32()),
        ("title", pa.string()),
        ("artist", pa.string()),
        ("genre", pa.string()),
        ("predicted_genre", pa.string()),
        ("year", pa.int32()),
        ("plays", pa.int64()),
        ("popularity_decile", pa.int32()),
        ("fitted", pa.bool_()),
        (NEIGHBOURS_COLUMN, NEIGHBOURS_TYPE),
    ]
)
"""Columns of the file; null if unknown."""


def viewer_command(path: str, *more: str) -> list[str]:
    """Return the command that opens a file, with further options."""
    return [COMMAND, path, "--x", "x", "--y", "y", "--neighbors", NEIGHBOURS_COLUMN, "--text", "title", *more]


def neighbours_column(track_ids: pa.Array, neighbours: pa.Table) -> tuple[pa.Array, int]:
    """Return each song's neighbours as row numbers of the file, nearest first.

    Rows of ``neighbours/RUN`` are in any order; the second result counts those whose song or neighbour is not among the
    ids, which are in the order of the file. A song without neighbours has an empty list.
    """
    rows, ids = (
        pc.fill_null(pc.index_in(neighbours[name].combine_chunks(), value_set=track_ids), -1).to_numpy()
        for name in ("track_id", "neighbour_id")
    )
    known = (rows >= 0) & (ids >= 0)
    rank = neighbours["rank"].to_numpy()
    order = np.flatnonzero(known)[np.lexsort((rank[known], rows[known]))]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[order], minlength=len(track_ids)))])
    values = (ids[order].astype(np.int32), neighbours["distance"].to_numpy()[order].astype(np.float32))
    lists = [pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(part)) for part in values]
    return pa.StructArray.from_arrays(lists, names=[field.name for field in NEIGHBOURS_TYPE]), int((~known).sum())


def atlas_table(songs: pd.DataFrame, neighbours: pa.Array) -> pa.Table:
    """Return the file's table: columns of `songs`, and that of `neighbours_column`."""
    fields = [field for field in ATLAS if field.name != NEIGHBOURS_COLUMN]
    columns = [pa.Array.from_pandas(songs[field.name], type=field.type) for field in fields]
    return pa.table([*columns, neighbours], schema=ATLAS)
