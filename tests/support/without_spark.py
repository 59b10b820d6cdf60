"""A substitute for Spark that runs tasks one by one in this process, and small song files to ingest with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq

from msd_spark.core.summary import Summary
from msd_spark.ingest import job
from msd_spark.ingest.settings import IngestSettings
from tests.support.song_images import song_image


class _Items:
    def __init__(self, items: Iterable[Any]) -> None:
        self.items = list(items)

    def flatMap(self, function: Callable[[Any], Iterable[Any]]) -> _Items:  # noqa: N802 - Spark's name
        return _Items(result for item in self.items for result in function(item))

    def collect(self) -> list[Any]:
        return self.items

    def foreach(self, function: Callable[[Any], None]) -> None:
        for item in self.items:
            function(item)


class _Accumulator:
    def __init__(self, value: list[Any]) -> None:
        self.value = value

    def add(self, more: list[Any]) -> None:
        self.value += more


class _Context:
    defaultParallelism = 2  # noqa: N815 - Spark's name

    def parallelize(self, items: Iterable[Any], _slices: int) -> _Items:
        return _Items(items)

    def accumulator(self, start: list[Any], _kind: Any) -> _Accumulator:
        return _Accumulator(start)

    def statusTracker(self) -> _Context:  # noqa: N802 - Spark's name
        return self

    def getActiveStageIds(self) -> list[int]:  # noqa: N802 - Spark's name
        return []


class _Session:
    sparkContext = _Context()  # noqa: N815 - Spark's name


SESSION = cast(Any, _Session())


def ingest(warehouse: Path, *locations: Path | str, **settings: Any) -> Summary:
    """Ingest without Spark."""
    return job.ingest(SESSION, IngestSettings(tuple(map(str, locations)), warehouse=str(warehouse), **settings))


def track(number: int) -> str:
    return f"TRAAAAA{number:011d}"


@lru_cache(maxsize=256)
def image(number: int, title: str = "") -> bytes:
    return song_image(track_id=track(number).encode(), title=title.encode(), n_segments=number % 7)


def write_songs(folder: Path, numbers: Iterable[int], title: str = "") -> list[Path]:
    """Write song files named after their tracks."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in numbers:
        path = folder / f"{track(number)}.h5"
        path.write_bytes(image(number, title))
        os.utime(path, ns=(1, 1_000_000_000 * (1 + len(title))))
        paths.append(path)
    return paths


def rows(warehouse: Path, *table: str) -> list[dict[str, Any]]:
    """Return the rows of a table, in an order that does not depend on its files."""
    table_rows = pq.read_table(warehouse.joinpath(*table), partitioning=None).to_pylist()
    return sorted(
        table_rows, key=lambda row: tuple(str(row.get(name)) for name in ("track_id", "source", "member", "unit"))
    )
