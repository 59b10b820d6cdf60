"""Choose what reads the row groups of examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from msd_spark.core.options import Settings, option
from training.data.readers import arrow, petastorm

READERS = {"petastorm": petastorm.row_groups, "arrow": arrow.row_groups}


@dataclass(frozen=True)
class ReadingSettings(Settings):
    """How examples are read; no setting changes what a model learns."""

    reader: str = option("petastorm", "library that reads the examples", choices=READERS)

    def row_groups(self, addresses: Sequence[str], columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the row groups of Parquet files, in order; a file may occur more than once."""
        return READERS[self.reader](addresses, columns) if addresses else iter(())


DEFAULT_READING = ReadingSettings()
