"""Read row groups by pyarrow alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from msd_spark.core.filesystems import open_location
from msd_spark.core.row_groups import RowGroups


def row_groups(addresses: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the row groups of Parquet files, in order."""
    for address in addresses:
        filesystem, path, _ = open_location(address)
        file = RowGroups(filesystem, path).fetch(columns)
        for number in range(file.num_row_groups):
            yield file.read_row_group(number, list(columns), use_threads=False)
