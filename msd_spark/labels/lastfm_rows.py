"""What workers say of Last.fm's tags, in rows: an entry, a tag, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from msd_spark.formats.lastfm import Entry, EntryError

STAGE = "tags"
ROWS_PER_BATCH = 20_000

READINGS = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("member", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("track_id", pa.string()),
        pa.field("tag", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("entries", pa.int64()),
        pa.field("given", pa.int64()),
        pa.field("empty", pa.int64()),
    ]
)
"""A tag of a track; an entry (``entries`` 1), with the tags that it gave and those of them that were empty; or what was
refused, with the reason."""

Reading = tuple[
    str | None, str | None, str | None, str | None, str | None, str | None, float | None, int, int, int
]  # the columns of READINGS


def entry_reading(source: str, member: str | None, track_id: str, given: int = 0, empty: int = 0) -> Reading:
    """Return the row of an entry."""
    return source, member, None, None, track_id, None, None, 1, given, empty


def tag_reading(track_id: str, tag: str, score: float, given: int = 0) -> Reading:
    """Return the row of a tag, counted as `given` here if its entry's row does not count it; empty ones count."""
    return None, None, None, None, track_id, tag or None, score, 0, given, int(not tag)


def refused(source: str, member: str | None, error: EntryError, *, entries: int = 0, given: int = 0) -> Reading:
    """Return the row of an entry that cannot be used, or of a tag."""
    return source, member, error.reason, error.detail, None, None, None, entries, given, 0


def readings_of(source: str, member: str | None, entry: Entry) -> Iterator[Reading]:
    """Give the rows of an entry and of its tags."""
    yield entry_reading(source, member, entry.track_id, entry.given, entry.empty)
    for tag, score in entry.tags.items():
        yield tag_reading(entry.track_id, tag, score)


def in_batches(readings: Iterator[Reading]) -> Iterator[pa.RecordBatch]:
    """Give rows in batches of `READINGS`."""
    while chunk := list(islice(readings, ROWS_PER_BATCH)):
        columns = zip(*chunk, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, READINGS, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=READINGS)
