"""Rows that workers return for Last.fm's tags: one per entry, per tag, and per rejection."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

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
        ("skipped", pa.string()),
    ]
)
"""Rows of four kinds: a tag of a track; an entry (``entries`` is 1), with the number of its tags (``given``) and of
its empty tags (``empty``); a rejection, with its reason; a skipped file, with the reason in ``skipped``. ``given`` is 1
in the row of a tag that the row of its entry does not count, or of a rejected tag."""

Reading = dict[str, Any]
"""A row of `READINGS`; missing columns are null."""


def rejected_row(source: str, member: str | None, error: EntryError, **counts: int) -> Reading:
    """Return the row of a rejected entry or tag."""
    return {"source": source, "member": member, "reason": error.reason, "detail": error.detail, **counts}


def rows_of(source: str, member: str | None, entry: Entry) -> Iterator[Reading]:
    """Yield the row of an entry, and one per tag."""
    counts = {"entries": 1, "given": entry.given, "empty": entry.empty}
    yield {"source": source, "member": member, "track_id": entry.track_id, **counts}
    for tag, score in entry.tags.items():
        yield {"track_id": entry.track_id, "tag": tag, "score": score}


def in_batches(rows: Iterator[Reading]) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches of `READINGS`."""
    while chunk := list(islice(rows, ROWS_PER_BATCH)):
        yield pa.RecordBatch.from_pylist(chunk, READINGS)
