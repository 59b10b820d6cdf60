"""Rows that workers return for Last.fm's tags: one per entry, per tag, and per rejection."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from msd_spark.formats.lastfm import Entry, EntryError

ROWS_PER_BATCH = 20_000

READINGS = pa.schema(
    [
        ("source", pa.string()),
        ("member", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("track_id", pa.string()),
        ("tag", pa.string()),
        ("score", pa.float32()),
        ("entries", pa.int64()),
        ("given", pa.int64()),
        ("empty", pa.int64()),
    ]
)
"""Rows of three kinds: a tag of a track; an entry (``entries`` is 1), with the number of its tags (``given``) and of
its empty tags (``empty``); a rejection, with its reason."""

Reading = tuple[
    str | None, str | None, str | None, str | None, str | None, str | None, float | None, int, int, int
]  # the columns of READINGS


def entry_row(source: str, member: str | None, track_id: str, given: int = 0, empty: int = 0) -> Reading:
    """Return the row of an entry."""
    return source, member, None, None, track_id, None, None, 1, given, empty


def tag_row(track_id: str, tag: str, score: float, given: int = 0) -> Reading:
    """Return the row of a tag; `given` is 1 if the row of its entry does not count it."""
    return None, None, None, None, track_id, tag or None, score, 0, given, int(not tag)


def rejected_row(source: str, member: str | None, error: EntryError, *, entries: int = 0, given: int = 0) -> Reading:
    """Return the row of a rejected entry or tag."""
    return source, member, error.reason, error.detail, None, None, None, entries, given, 0


def rows_of(source: str, member: str | None, entry: Entry) -> Iterator[Reading]:
    """Yield the row of an entry, and one per tag."""
    yield entry_row(source, member, entry.track_id, entry.given, entry.empty)
    for tag, score in entry.tags.items():
        yield tag_row(entry.track_id, tag, score)


def in_batches(rows: Iterator[Reading]) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches of `READINGS`."""
    while chunk := list(islice(rows, ROWS_PER_BATCH)):
        columns = zip(*chunk, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, READINGS, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=READINGS)
