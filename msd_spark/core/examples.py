"""Form of the files of a dataset: types of the arrays in an example, and options of the Parquet files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector

from msd_spark.core.arrow import one_row_group
from msd_spark.core.cells import to_cells
from msd_spark.core.delta import DataFile, Destination, TableWriter
from msd_spark.core.model_inputs import ALL_INPUTS, HAS_LYRICS, MASK, WORD_INDICES, input_shapes
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import CELLS, FACTOR_VECTOR, SPLITS, TAG_VECTOR, Geometry, examples_schema

COMPRESSION = "snappy"
DICTIONARY_COLUMNS = ("track_id", "song_id", "artist_group")

UNISCHEMA, ROW_GROUPS = "dataset-toolkit.unischema.v1", "dataset-toolkit.num_row_groups_per_file.v1"
"""Keys of Petastorm's metadata: the pickled `Unischema`, and the number of row groups in each file of the folder."""


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


def targets_file(split: str) -> str:
    """Return the name of the side file with the columns of a split's examples that are not arrays of inputs."""
    return f"_targets_{split}.parquet"


def targets_of(examples: pa.Table) -> pa.Table:
    """Return the columns of examples that are not arrays of inputs: ids, targets, flags and weights."""
    arrays = set(ALL_INPUTS) - {HAS_LYRICS}
    return examples.select([name for name in examples.column_names if name not in arrays])


class DatasetWriter:
    """Writes the examples of a dataset, and what describes them."""

    def __init__(self, writer: TableWriter, splits: Sequence[str] = SPLITS) -> None:
        self.writer = writer
        self.files: dict[str, list[dict[str, Any]]] = {split: [] for split in splits}
        self._targets: dict[str, list[pa.Table]] = {split: [] for split in splits}

    def write(self, examples: pa.Table, split: str) -> None:
        """Write examples to the next file of a split."""
        file = write_file(self.writer.destination, examples, split, len(self.files[split]))
        self.add(file, split, targets_of(examples))

    def add(self, file: DataFile, split: str, targets: pa.Table) -> None:
        """Add a file that is written; `targets` are those of its examples."""
        self.writer.add([file])
        self.files[split].append({"name": file.name.split("/")[1], "rows": file.rows})
        self._targets[split].append(targets)

    @property
    def rows(self) -> dict[str, int]:
        """Number of examples in each split."""
        return {split: sum(file["rows"] for file in files) for split, files in self.files.items()}

    def finish(self, metadata: Mapping[str, Any]) -> None:
        """Write the side files: metadata, to which files and numbers of rows are added, and targets of each split."""
        filesystem = self.writer.table.filesystem
        for split, tables in self._targets.items():
            if tables:
                path = self.writer.side_file(targets_file(split))
                pq.write_table(pa.concat_tables(tables), path, filesystem=filesystem, compression="zstd")
        _write_metadata(self.writer, {**metadata, "rows": self.rows, "files": self.files})


def _write_metadata(writer: TableWriter, metadata: Mapping[str, Any]) -> None:
    """Write the metadata of a dataset, and in the folder of each split the `Unischema` for Petastorm.

    Only Petastorm reads the latter, which has a pickle: `pyarrow` finds it by the end of its name.
    """
    writer.write_json(metadata, DATASET_FILE)
    filesystem, counts = writer.table.filesystem, (len(metadata.get("tags") or ()), metadata.get("n_factors") or 0)
    types = array_types(Geometry(**metadata["geometry"]), *counts)
    schema = examples_schema(tags=counts[0] > 0, factors=counts[1] > 0)
    names = writer.names
    for split in dict.fromkeys(file.partition for file in writer.files if file.partition):
        # Other files in the folder are of older versions, or of a job that died: they have no row group to read.
        present = filesystem.get_file_info(FileSelector(f"{writer.table.path}/{split}"))
        row_groups = {info.base_name: int(f"{split}/{info.base_name}" in names) for info in present}
        own = {UNISCHEMA: pickle.dumps(unischema(schema, types)), ROW_GROUPS: json.dumps(row_groups)}
        with filesystem.open_output_stream(writer.side_file("_common_metadata", split)) as sink:
            pq.write_metadata(schema.with_metadata(own), sink)


def unischema(schema: pa.Schema, types: Mapping[str, np.dtype[Any]]) -> Any:
    """Return the columns of examples as Petastorm's `Unischema`; `types` are those of `array_types`."""
    from petastorm.codecs import NdarrayCodec
    from petastorm.unischema import Unischema, UnischemaField

    fields = []
    for field in schema:
        kind = types.get(field.name, np.dtype(np.str_ if field.type == pa.string() else field.type.to_pandas_dtype()))
        codec = NdarrayCodec() if field.type == CELLS else None
        fields.append(UnischemaField(field.name, kind.base.type, kind.shape, codec, field.nullable))
    return Unischema("Examples", fields)


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
