"""Read row groups of Parquet files, those in an object store with concurrent requests."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from msd_spark.core.errors import DamagedError
from msd_spark.core.object_store import PIECE, TAIL

GAP = 256 << 10
"""Largest gap in bytes between parts of a file that are fetched together."""


class RowGroups:
    """A Parquet file to read by row groups and columns; opening it reads its footer."""

    def __init__(self, filesystem: fs.FileSystem, path: str) -> None:
        self._filesystem, self._path = filesystem, path
        self._source = filesystem.open_input_file(path)
        try:
            self._file = pq.ParquetFile(self._source, pre_buffer=not isinstance(filesystem, fs.LocalFileSystem))
        except pa.ArrowInvalid as error:
            raise DamagedError(
                f"{path} is not a readable Parquet file ({str(error).splitlines()[0]}); "
                "copy it again, or run the stage that writes it again"
            ) from error
        self.rows = tuple(self._file.metadata.row_group(number).num_rows for number in range(self._file.num_row_groups))

    def fetch(self, columns: Collection[str] | None = None, numbers: Sequence[int] | None = None) -> pq.ParquetFile:
        """Return the file, to read columns of row groups; None means all.

        From an object store, their bytes are fetched here. A read of other bytes is a request that replaces them.
        """
        if not isinstance(self._filesystem, fs.PyFileSystem) or self._source.size() <= TAIL:
            return self._file  # not in an object store, or already read completely
        metadata = self._file.metadata
        ranges = byte_ranges(metadata, columns, range(len(self.rows)) if numbers is None else numbers)
        source = self._filesystem.handler.open_ranges(self._path, self._source.size(), ranges)
        return pq.ParquetFile(source, metadata=metadata)


def byte_ranges(
    metadata: pq.FileMetaData, columns: Collection[str] | None, row_groups: Sequence[int]
) -> list[tuple[int, int]]:
    """Return byte ranges of columns of row groups, joined over gaps and cut into pieces."""
    names = [metadata.schema.column(number).path.split(".")[0] for number in range(metadata.num_columns)]
    column_numbers = [number for number, name in enumerate(names) if columns is None or name in columns]
    joined: list[list[int]] = []
    for part in sorted(
        _place(metadata.row_group(group).column(number)) for group in row_groups for number in column_numbers
    ):
        if joined and part[0] - joined[-1][1] <= GAP:
            joined[-1][1] = max(joined[-1][1], part[1])
        else:
            joined.append(list(part))
    return [(at, min(at + PIECE, stop)) for start, stop in joined for at in range(start, stop, PIECE)]


def _place(chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    start = min(at for at in (chunk.dictionary_page_offset, chunk.data_page_offset) if at)
    return start, start + chunk.total_compressed_size
