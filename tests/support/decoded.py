"""Examples of a dataset with their arrays."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from msd_spark.core.cells import from_cells


def decoded(examples: pa.Table) -> pd.DataFrame:
    """Return examples as a frame with an array in each cell of a binary column."""
    return pd.DataFrame(
        {
            name: list(from_cells(column)) if pa.types.is_binary(column.type) else column.to_pandas()
            for name, column in zip(examples.column_names, examples.columns, strict=True)
        }
    )
