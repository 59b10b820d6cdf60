"""Read ``lastfm_tags.db``, the SQLite database of Last.fm's tags.

References
----------
.. [1] http://millionsongdataset.com/lastfm: tables ``tids(tid)``, ``tags(tag)`` and ``tid_tag(tid, tag, val)``, where
   ``tid_tag.tid`` and ``tid_tag.tag`` are row numbers of the other tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import lru_cache

from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local
from msd_spark.core.track_ids import TRACK_ID
from msd_spark.formats.lastfm import EntryError, normalise_tag, parse_score
from msd_spark.io.databases import open_database
from msd_spark.labels.lastfm_rows import Reading, rejected_row

_ROWS = (
    "SELECT tid_tag.rowid, tids.tid, tags.tag, tid_tag.val FROM tid_tag"
    " LEFT JOIN tids ON tids.rowid = tid_tag.tid LEFT JOIN tags ON tags.rowid = tid_tag.tag"
)


def read_database(location: str) -> Iterator[Reading]:
    """Yield one row per track and one per (track, tag)."""
    with open_database(location) as database:
        try:
            for row, track_id in database.execute("SELECT rowid, tid FROM tids"):
                member = f"tids row {row}"
                if _is_track_id(track_id):
                    yield {"source": location, "member": member, "track_id": track_id, "entries": 1}
                else:
                    yield rejected_row(location, member, EntryError("bad_track_id", repr(track_id)[:80]), entries=1)
            yield from _read_tags(location, database)
        except sqlite3.Error as error:
            raise UserError(
                f"{location} is not a complete lastfm_tags.db (tables tids, tags and tid_tag): {error}"
            ) from None


def check_database(location: str) -> None:
    """Check that a local database can be read; a remote one is checked later by a worker."""
    if is_local(location):
        next(read_database(location), None)


def _read_tags(location: str, database: sqlite3.Connection) -> Iterator[Reading]:
    normalise = lru_cache(1 << 18)(normalise_tag)
    for row, track_id, tag, value in database.execute(_ROWS):
        try:
            if not _is_track_id(track_id):
                raise EntryError("bad_track_id", repr(track_id)[:80])
            if not isinstance(tag, str):
                raise EntryError("no_such_tag", repr(tag)[:80])
            name, score = normalise(tag), parse_score(value)
            yield {"track_id": track_id, "tag": name or None, "score": score, "given": 1, "empty": int(not name)}
        except EntryError as error:
            yield rejected_row(location, f"tid_tag row {row}", error, given=1)


def _is_track_id(value: object) -> bool:
    return isinstance(value, str) and TRACK_ID.fullmatch(value) is not None
