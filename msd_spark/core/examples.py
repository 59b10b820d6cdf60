"""Form of the files of a dataset, and their writer."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector

from msd_spark.core.arrow import one_row_group
from msd_spark.core.cells import to_cells
from msd_spark.core.delta import DataFile, Destination, TableWriter
from msd_spark.core.model_inputs import ALL_INPUTS, CHROMA, HAS_LYRICS, MASK, WORD_INDICES, input_shapes, to_thousandths
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import CELLS, FACTOR_VECTOR, SPLITS, TAG_VECTOR, Geometry, examples_schema

COMPRESSED = ("track_id", "song_id", "artist_group", "word_indices", "word_counts", TAG_VECTOR)
"""Columns worth compressing: other arrays shrink little, and decompressing them would dominate the time to read."""

DICTIONARY_COLUMNS = ("track_id", "song_id", "artist_group")

UNISCHEMA, ROW_GROUPS = "dataset-toolkit.unischema.v1", "dataset-toolkit.num_row_groups_per_file.v1"
"""Keys of Petastorm's metadata: the pickled `Unischema`, and the number of row groups in each file of the folder."""


class InexactError(ValueError):
    """A value cannot be stored in the type of its column."""


@dataclass(frozen=True)
class ExampleForm:
    """Form of a dataset's examples; a length is 0 for a dataset without the column.

    `word_tracks` is the number of tracks with each word of ``lyric_words/``. `chroma` is the type of the stored chroma;
    with uint16 it is in thousandths.
    """

    geometry: Geometry
    n_tags: int = 0
    n_factors: int = 0
    word_tracks: tuple[int, ...] = ()
    chroma: str = "float32"

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> ExampleForm:
        """Return the form in the metadata of a dataset."""
        n_tags, n_factors = len(metadata.get("tags") or ()), metadata.get("n_factors") or 0
        chroma = metadata.get("chroma", cls.chroma)
        return cls(Geometry(**metadata["geometry"]), n_tags, n_factors, chroma=chroma)

    @property
    def schema(self) -> pa.Schema:
        """Schema of the files."""
        return examples_schema(tags=self.n_tags > 0, factors=self.n_factors > 0)

    @property
    def arrays(self) -> dict[str, np.dtype[Any]]:
        """Type and shape of an example's array in each column of arrays.

        Examples
        --------
        >>> ExampleForm(Geometry()).arrays["timbre"]
        dtype(('<f4', (300, 12)))
        """
        shapes = input_shapes(self.geometry, [name for name in ALL_INPUTS if name not in (MASK, HAS_LYRICS)])
        sizes = {TAG_VECTOR: self.n_tags, FACTOR_VECTOR: self.n_factors}
        shapes |= {name: (size,) for name, size in sizes.items() if size}
        kinds = {CHROMA: self.chroma, WORD_INDICES: "int32"}
        return {name: np.dtype((kinds.get(name, "float32"), shape)) for name, shape in shapes.items()}


def examples_table(columns: Mapping[str, Any], form: ExampleForm) -> pa.Table:
    """Return columns by name as examples; those of arrays have shape ``(n, …)`` or are flat.

    `InexactError` if chroma is to be stored as thousandths and has other values.
    """
    arrays = {}
    for name, kind in form.arrays.items():
        values = np.asarray(columns[name])
        if kind.base == np.uint16:
            values, exact = to_thousandths(values.astype(np.float32, copy=False))
            if not exact.all():
                row = int(np.flatnonzero(~exact.reshape(len(exact), -1).all(axis=1))[0])
                value = np.asarray(columns[name])[row][~exact[row]].flat[0]
                raise InexactError(f"track {columns['track_id'][row]} has {name} {value:.6g}, not a multiple of 0.001")
        arrays[name] = to_cells(values.astype(kind.base, copy=False).reshape(-1, *kind.shape))
    return pa.table({name: arrays.get(name, columns[name]) for name in form.schema.names}).cast(form.schema)


def targets_file(split: str) -> str:
    """Return the name of a split's side file with the columns that `targets_of` selects."""
    return f"_targets_{split}.parquet"


def targets_of(examples: pa.Table) -> pa.Table:
    """Return all columns except the arrays of inputs: ids, targets, flags and weights."""
    arrays = set(ALL_INPUTS) - {HAS_LYRICS}
    return examples.select([name for name in examples.column_names if name not in arrays])


class DatasetWriter:
    """Writer of the files and side files of a dataset."""

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
        """Write the side files: targets of each split, and metadata with files and numbers of rows."""
        filesystem = self.writer.table.filesystem
        for split, tables in self._targets.items():
            if tables:
                path = self.writer.side_file(targets_file(split))
                pq.write_table(pa.concat_tables(tables), path, filesystem=filesystem, compression="zstd")
        _write_metadata(self.writer, {**metadata, "rows": self.rows, "files": self.files})


def _write_metadata(writer: TableWriter, metadata: Mapping[str, Any]) -> None:
    """Write the metadata of a dataset, and for Petastorm a `Unischema` per split.

    Only Petastorm reads the latter, which has a pickle: `pyarrow` finds it by the end of its name.
    """
    writer.write_json(metadata, DATASET_FILE)
    filesystem, names, form = writer.table.filesystem, writer.names, ExampleForm.of(metadata)
    for split in dict.fromkeys(file.partition for file in writer.files if file.partition):
        # Other files in the folder are of older versions, or of a job that died: they have no row group to read.
        present = filesystem.get_file_info(FileSelector(f"{writer.table.path}/{split}"))
        row_groups = {info.base_name: int(f"{split}/{info.base_name}" in names) for info in present}
        own = {UNISCHEMA: pickle.dumps(unischema(form)), ROW_GROUPS: json.dumps(row_groups)}
        with filesystem.open_output_stream(writer.side_file("_common_metadata", split)) as sink:
            pq.write_metadata(form.schema.with_metadata(own), sink)


def unischema(form: ExampleForm) -> Any:
    """Return the columns of examples as Petastorm's `Unischema`."""
    from petastorm.codecs import NdarrayCodec
    from petastorm.unischema import Unischema, UnischemaField

    fields, arrays = [], form.arrays
    for field in form.schema:
        kind = arrays.get(field.name, np.dtype(np.str_ if field.type == pa.string() else field.type.to_pandas_dtype()))
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
    compression = {name: "zstd" if name in COMPRESSED else "none" for name in examples.column_names}
    options = one_row_group(examples, compression=compression, dictionary=DICTIONARY_COLUMNS)
    return destination.write(number, examples, split, turn, **options)
