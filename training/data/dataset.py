"""Open a dataset: its metadata and the addresses of its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.cells import from_cells
from msd_spark.core.errors import DamagedError, UserError
from msd_spark.core.examples import targets_file, targets_of
from msd_spark.core.normalisation import WORD_WEIGHTS
from msd_spark.core.row_groups import RowGroups
from msd_spark.core.runs import DATASET_FILE, DATASETS
from msd_spark.core.schemas import Geometry
from msd_spark.core.warehouse import Warehouse
from training.data.cache.folder import CacheFolder
from training.data.cache.lookahead import Cache
from training.data.readers.choice import DEFAULT_READING, Reading, ReadingSettings

GIB = 1 << 30


@dataclass(frozen=True)
class Dataset:
    """A dataset of a warehouse, its metadata, and how its examples are read."""

    warehouse: Warehouse
    metadata: dict[str, Any]
    reading_settings: ReadingSettings = DEFAULT_READING

    @classmethod
    def open(cls, warehouse: Warehouse, name: str, reading: ReadingSettings = DEFAULT_READING) -> Dataset:
        """Open ``dataset/NAME`` of a warehouse, which must be complete."""
        schema = warehouse.snapshot("dataset", name).schema
        if not pa.types.is_binary(schema.field("chroma").type):
            raise UserError(
                f"dataset {name} was written by an earlier version, with lists instead of arrays; "
                "run msd-spark dataset again"
            )
        dataset = cls(warehouse, warehouse.read_json(DATASETS, name, DATASET_FILE), reading)
        if WORD_WEIGHTS not in dataset.metadata["normalisation"]:
            raise UserError(
                f"dataset {name} was written by an earlier version and has no weights of words; "
                "run msd-spark dataset again"
            )
        return dataset

    @property
    def name(self) -> str:
        """The dataset's name."""
        return str(self.metadata["name"])

    @property
    def labels(self) -> list[str]:
        """Genres by index."""
        return list(self.metadata["labels"])

    @property
    def tags(self) -> list[str]:
        """Tags by their position in the tag vector; empty without tag vectors."""
        return list(self.metadata.get("tags") or ())

    @property
    def schema(self) -> pa.Schema:
        """Schema of the examples, from the first file."""
        return self._first_file().schema_arrow

    def width(self, column: str) -> int:
        """Return the length of the vectors in a column."""
        group = self._first_file().read_row_group(0, columns=[column])
        return int(from_cells(group[column]).shape[1])

    def _first_file(self) -> pq.ParquetFile:
        split, name = next((split, file["name"]) for split, files in self.metadata["files"].items() for file in files)
        path = self.warehouse.path("dataset", self.name, split, name)
        return pq.ParquetFile(path, filesystem=self.warehouse.filesystem)

    @property
    def geometry(self) -> Geometry:
        """Shape of the features."""
        return Geometry(**self.metadata["geometry"])

    def rows(self, split: str) -> list[int]:
        """Return the number of examples in each file of a split."""
        return [int(file["rows"]) for file in self.metadata["files"][split]]

    def addresses(self, split: str) -> list[str]:
        """Return the address of each file of a split, in the order of `rows`."""
        return [
            self.warehouse.address("dataset", self.name, split, file["name"]) for file in self.metadata["files"][split]
        ]

    @cached_property
    def reading(self) -> Reading:
        """The reader of the examples; files of a store are fetched ahead to a local folder."""
        settings = self.reading_settings
        if self.warehouse.is_local or not settings.cache_gib:
            return Reading(settings.reader)
        snapshot = self.warehouse.table("dataset", self.name).snapshot()
        sizes = {
            self.warehouse.address("dataset", self.name, *file.name.split("/")): file.size
            for file in (snapshot.files if snapshot else ())
        }
        folder = CacheFolder(settings.folder, int(settings.cache_gib * GIB))
        return Reading(settings.reader, Cache(folder, sizes, self.metadata["fingerprint"]))

    def targets(self, split: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return columns, except arrays of inputs, of all examples of a split, in order of files."""
        names, n_rows = None if columns is None else list(columns), sum(self.rows(split))
        if not self.rows(split):
            return targets_of(self.schema.empty_table()).select(names or [])
        try:
            path = self.warehouse.file(DATASETS, self.name, targets_file(split))
            table = pq.read_table(path, columns=names, filesystem=self.warehouse.filesystem, partitioning=None)
            if table.num_rows != n_rows:
                raise ValueError(f"{table.num_rows:,} instead of {n_rows:,} rows")
        except (OSError, ValueError) as error:
            raise DamagedError(
                f"the targets of {split} in dataset {self.name} are damaged ({error}); run msd-spark dataset again"
            ) from error
        return table

    def places(self, split: str) -> Iterator[tuple[int, int]]:
        """Yield the file and the row in it of each example, in the order of `targets`."""
        for file, n_rows in enumerate(self.rows(split)):
            yield from ((file, row) for row in range(n_rows))

    def read(self, split: str, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return columns of one file of a split, all by default."""
        path = self.warehouse.path("dataset", self.name, split, self.metadata["files"][split][number]["name"])
        names = None if columns is None else list(columns)
        return RowGroups(self.warehouse.filesystem, path).fetch(names).read(names)
