"""Read row groups by Petastorm, through this project's filesystems.

Petastorm 0.12.1 opens local files through Python, which copies their bytes once more and takes 1.6 times the CPU time.
It opens stores through another library, which the legacy Parquet reader of the pinned pyarrow rejects. But it accepts a
filesystem of pyarrow's legacy interface, with paths that look local.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import fs

from msd_spark.core.filesystems import open_location

MOST_QUEUED = 1 << 30
"""Maximum number of row groups that Petastorm queues: names, not data."""

SECONDS_TO_WAIT = 0.0005
"""Seconds between two checks of the queue by Petastorm's reader."""


def row_groups(addresses: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the row groups of Parquet files, in order."""
    # Petastorm calls deprecated functions of pyarrow, which the pinned version still has.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"petastorm")
        yield from _row_groups(addresses, columns)


def _row_groups(addresses: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
    from petastorm import make_batch_reader
    from petastorm import reader as petastorm_reader
    from petastorm.workers_pool import dummy_pool

    # Petastorm's reader sleeps 0.1 s, the time to read 3,000 rows, whenever its thread has queued no row group.
    petastorm_reader._VENTILATE_EXTRA_ROWGROUPS = MOST_QUEUED
    dummy_pool.sleep = _sleep_shortly
    filesystem, places = petastorm_paths(addresses)
    # The dummy pool keeps the order of the files and loses no row.
    reader = make_batch_reader(
        places,
        schema_fields=list(columns),
        reader_pool_type="dummy",
        shuffle_row_groups=False,
        num_epochs=1,
        filesystem=filesystem,
    )
    # Petastorm's conversion makes one array per row. The attribute is private; the pinned version has it.
    reader._results_queue_reader = _Tables()
    with reader:
        yield from reader


def _sleep_shortly(_: float) -> None:
    time.sleep(SECONDS_TO_WAIT)


class _Tables:
    """Replacement of Petastorm's converter that leaves tables as they are."""

    batched_output = True

    def read_next(self, pool: Any, schema: Any, ngram: Any) -> pa.Table:
        """Return the next row group."""
        from petastorm.workers_pool import EmptyResultError

        try:
            return pool.get_results()
        except EmptyResultError:
            raise StopIteration from None


def petastorm_paths(addresses: Sequence[str]) -> tuple[Any, list[str]]:
    """Return the filesystem of some addresses and the paths for Petastorm."""
    opened = [open_location(address) for address in addresses]
    return _old_kind(opened[0][0]), [f"file:///{path.lstrip('/')}" for _, path, _ in opened]


def _old_kind(filesystem: fs.FileSystem) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from pyarrow.filesystem import FileSystem

    rooted = isinstance(filesystem, fs.HadoopFileSystem | fs.LocalFileSystem)

    class Files(FileSystem):  # type: ignore[misc]
        """The methods of a filesystem that Petastorm and the legacy Parquet reader call."""

        def _path(self, path: str) -> str:
            return path if rooted else path.lstrip("/")

        def _type(self, path: str) -> fs.FileType:
            return filesystem.get_file_info(self._path(path)).type

        def exists(self, path: str) -> bool:
            return self._type(path) != fs.FileType.NotFound

        def isfile(self, path: str) -> bool:
            return self._type(path) == fs.FileType.File

        def isdir(self, path: str) -> bool:
            return self._type(path) == fs.FileType.Directory

        def open(self, path: str, mode: str = "rb") -> Any:
            return filesystem.open_input_file(self._path(path))

    return Files()
