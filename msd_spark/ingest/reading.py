"""Read the songs of a unit: loose files, archive members, or rows of an aggregate file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, cast

from msd_spark.core.filesystems import open_location
from msd_spark.core.rejections import Rejection
from msd_spark.ingest.archives import Item, read_tar_file, read_zip_file
from msd_spark.ingest.loose import failure, read_files, reason_of
from msd_spark.ingest.names import Skipped, skip_reason
from msd_spark.ingest.units import Kind, SongInput, Unit
from msd_spark.io.folders import printable
from msd_spark.io.paged import PagedFile, open_seekable
from msd_spark.songfile.aggregate import read_songs
from msd_spark.songfile.parse import Song, SongFileError


def read_unit(unit: Unit) -> Iterator[Item]:
    """Yield the songs of a unit, its rejections, and what it skips.

    Songs have ``source`` and ``member``.
    """
    first = unit.inputs[0]
    if unit.kind is Kind.FILES:
        yield from read_files(unit.inputs)
    elif unit.kind is Kind.TAR:
        yield from read_tar_file(first)
    elif unit.kind is Kind.ZIP:
        yield from read_zip_file(first)
    elif unit.kind is Kind.AGGREGATE:
        yield from _read_aggregate(first, unit.start, unit.stop)
    elif unit.kind is Kind.SKIPPED:
        yield from (Skipped(printable(item.source), skip_reason(item.source)) for item in unit.inputs)
    else:
        detail = "a summary file has no segments; --summaries rows reads its songs without them"
        yield Rejection(printable(first.source), "summary_file", detail)


def _read_aggregate(item: SongInput, start: int, stop: int) -> Iterator[Song | Rejection]:
    source = printable(item.source)
    try:
        filesystem, path, _ = open_location(item.source)
        opened = open_seekable(filesystem, path)
    except OSError as error:
        yield from (Rejection(source, reason_of(error), failure(error), _row(row)) for row in range(start, stop))
        return
    with opened as file:
        for row, song in read_songs(cast(IO[bytes], file), start, stop):
            if isinstance(song, SongFileError) and isinstance(file, PagedFile) and file.failure:
                yield Rejection(source, reason_of(file.failure), failure(file.failure), _row(row))
            elif isinstance(song, SongFileError):
                yield Rejection(source, song.reason, song.detail, _row(row))
            else:
                yield song | {"source": source, "member": _row(row)}


def _row(number: int) -> str:
    return f"row {number}"
