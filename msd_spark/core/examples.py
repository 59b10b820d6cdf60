"""Form of the files of a dataset: types of the arrays in an example, and options of the Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa

from msd_spark.core.arrow import one_row_group
from msd_spark.core.cells import to_cells
from msd_spark.core.delta import DataFile, Destination
from msd_spark.core.model_inputs import ALL_INPUTS, HAS_LYRICS, MASK, WORD_INDICES, input_shapes
from msd_spark.core.schemas import FACTOR_VECTOR, TAG_VECTOR, Geometry, examples_schema

COMPRESSION = "snappy"
DICTIONARY_COLUMNS = ("track_id", "song_id", "artist_group")


def array_types(geometry: Geometry, n_tags: int = 0, n_factors: int = 0) -> dict[str, np.dtype[Any]]:
    """Return the type and shape of an example's array in each column of arrays.

    Examples
    --------
    >>> array_types(Geometry())["timbre"].base, array_types(Geometry())["timbre"].shape
    (dtype('float32'), (300, 12))
    """
    shapes = input_shapes(geometry, [name for name in ALL_INPUTS if name not in (MASK, HAS_LYRICS)])
    shapes |= {name: (size,) for name, size in ((TAG_VECTOR, n_tags), (FACTOR_VECTOR, n_factors)) if size}
    kinds = {WORD_INDICES: np.int32}
    return {name: np.dtype((kinds.get(name, np.float32), shape)) for name, shape in shapes.items()}


def examples_table(columns: Mapping[str, Any], geometry: Geometry, n_tags: int = 0, n_factors: int = 0) -> pa.Table:
    """Return columns by name as examples; those of arrays have shape ``(n, …)`` or are flat."""
    arrays = {
        name: to_cells(np.asarray(columns[name], kind.base).reshape(-1, *kind.shape))
        for name, kind in array_types(geometry, n_tags, n_factors).items()
    }
    schema = examples_schema(tags=n_tags > 0, factors=n_factors > 0)
    return pa.table({name: arrays.get(name, columns[name]) for name in schema.names}).cast(schema)


def write_file(
    destination: Destination,
    examples: pa.Table,
    split: str,
    number: int,
    turn: AbstractContextManager[Any] | None = None,
) -> DataFile:
    """Write examples to a file of one row group; `turn` is that of `Destination.write`."""
    options = one_row_group(examples, compression=COMPRESSION, dictionary=DICTIONARY_COLUMNS)
    return destination.write(number, examples, split, turn, **options)
