"""Choose what reads the row groups of examples, and where it finds the files."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice

import pyarrow as pa

from msd_spark.core.filesystems import is_local, local_path
from msd_spark.core.options import OptionError, Settings, at_least, option
from training.data.cache.folder import CacheFolder
from training.data.cache.lookahead import Cache, Cached
from training.data.readers import arrow, petastorm

READERS = {"petastorm": petastorm.row_groups, "arrow": arrow.row_groups}


@dataclass(frozen=True)
class ReadingSettings(Settings):
    """How examples are read; no setting changes what a model learns."""

    reader: str = option("petastorm", "library that reads the examples", choices=READERS)
    cache: str | None = option(
        None,
        "local folder for copies of a remote dataset's files, which are fetched ahead and kept for later epochs and "
        "runs; ranks on one machine share it; by default in the folder for temporary files (TMPDIR)",
        metavar="DIR",
    )
    cache_gib: float = option(
        4.0,
        "maximum size of --cache in GiB, ideally that of the dataset; 0: read the store directly",
        metavar="N",
        check=at_least(0),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cache and not (is_local(self.cache) and re.fullmatch("(?!file:)[^#?%\0]+", self.cache)):
            allowed = "a local folder, without # ? or % in its path, which Petastorm misreads"
            raise OptionError(f"--cache is {self.cache!r}; allowed: {allowed}")

    @property
    def folder(self) -> str:
        """Absolute path of the folder for copies."""
        return os.path.abspath(self.cache or f"{tempfile.gettempdir()}/msd-spark-cache-{os.getuid()}")


DEFAULT_READING = ReadingSettings()


@dataclass(frozen=True)
class Reading:
    """A reader of row groups, with a cache if they are remote."""

    reader: str = "petastorm"
    cache: Cache | None = None

    def row_groups(self, addresses: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the row groups of Parquet files, in order; a file may occur more than once."""
        if self.cache is None:
            yield from READERS[self.reader](addresses, columns) if addresses else ()
            return
        with closing(self.cache.ahead(addresses)) as lists:
            for files in lists:
                yield from self._of_copies(self.cache.folder, files, columns)

    def _of_copies(self, folder: CacheFolder, files: Sequence[Cached], columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the row groups of copies; remove one that cannot be read, and continue with its source."""
        read, n_read = READERS[self.reader], 0
        try:
            for table in read([file.copy for file in files], columns):
                n_read += 1
                yield table
        except (OSError, pa.ArrowException) as error:
            (copy, source), *others = files
            if copy == source:
                raise
            if others:  # one by one, to find the copy that cannot be read
                again: Iterator[pa.Table] = chain.from_iterable(
                    self._of_copies(folder, [file], columns) for file in files
                )
            else:
                folder.discard(local_path(copy), error)
                again = read([source], columns)
            yield from islice(again, n_read, None)


DIRECT = Reading()
"""Petastorm, without a cache."""
