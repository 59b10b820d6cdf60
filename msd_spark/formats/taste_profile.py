"""Parse Taste Profile triplets (user, song, play count) in blocks of lines.

A line is ``user<TAB>song<TAB>count``: 40 hex digits, a song id, a number from 1. Commas instead of tabs, and quotes
around a field, are accepted too.

References
----------
.. [1] The Echo Nest Taste Profile subset, http://millionsongdataset.com/tasteprofile: 48,373,586 triplets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

USER_ID = re.compile(rb"[0-9a-f]{40}")
SONG_ID = re.compile(rb"SO[A-Z0-9]{16}")
COUNT = re.compile(rb"[0-9]{1,10}")
MOST_PLAYS = 2**31 - 1

_PATTERNS = {name: form.pattern.decode() for name, form in (("user", USER_ID), ("song", SONG_ID), ("count", COUNT))}
_TRIPLET = "^" + "[\t,]".join(f'"?(?P<{name}>{pattern})"?' for name, pattern in _PATTERNS.items()) + "\r?$"
_FIELD_SEPARATOR = re.compile(b"[\t,]")
_HEADER = re.compile(rb'"?user(_?id)?"?', re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """Parsed lines.

    Attributes
    ----------
    user_ids, song_ids, plays : pyarrow.StringArray, numpy.ndarray of int32
        Of the valid triplets, in order.
    rejected : list of (int, str, str)
        Other lines: number in the block, from 0; reason; beginning of the line.
    """

    user_ids: pa.StringArray
    song_ids: pa.StringArray
    plays: np.ndarray
    n_lines: int
    rejected: list[tuple[int, str, str]]


def parse_lines(content: bytes, *, ended: bool = True) -> Block:
    """Parse complete lines with their line feeds; a carriage return before one is ignored.

    If the last line has no line feed in the file (not `ended`), it is rejected as truncated, because its count may lack
    digits.
    """
    lines = pc.split_pattern(pa.array([content], pa.binary()), "\n").flatten()[:-1]
    fields = pc.extract_regex(lines, _TRIPLET)
    counts = pc.struct_field(fields, "count").cast(pa.string()).cast(pa.int64())
    plays = pc.fill_null(counts, 0).to_numpy()
    good = (plays > 0) & (plays <= MOST_PLAYS)
    if not ended:
        good[-1:] = False
    rejected = []
    for line in np.flatnonzero(~good).tolist():
        text = lines[line].as_py().removesuffix(b"\r")
        cut_off = not ended and line == len(lines) - 1
        rejected.append((line, "truncated_line" if cut_off else reason_of(text) or "", shown(text)))
    triplets = fields.filter(pa.array(good))
    user_ids, song_ids = (pc.struct_field(triplets, name).cast(pa.string()) for name in ("user", "song"))
    return Block(user_ids, song_ids, plays[good].astype(np.int32), len(lines), rejected)


def reason_of(line: bytes) -> str | None:
    """Return the reason to reject a line, None for a valid triplet.

    Reasons: ``wrong_fields``, ``header``, ``bad_user_id``, ``bad_song_id``, ``bad_count`` (not a number from 1 to
    2,147,483,647).
    """
    fields = _FIELD_SEPARATOR.split(line)
    if len(fields) != 3:
        return "wrong_fields"
    if _HEADER.fullmatch(fields[0]):
        return "header"
    user, song, count = (field.removeprefix(b'"').removesuffix(b'"') for field in fields)
    if not USER_ID.fullmatch(user):
        return "bad_user_id"
    if not SONG_ID.fullmatch(song):
        return "bad_song_id"
    if not COUNT.fullmatch(count) or not 1 <= int(count) <= MOST_PLAYS:
        return "bad_count"
    return None


def shown(line: bytes) -> str:
    """Return the beginning of a line as text for ``rejected/``."""
    return repr(line[:80].decode("utf-8", "replace"))[1:-1]
