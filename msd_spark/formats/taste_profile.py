"""Parse Taste Profile triplets (user, song, play count) in blocks of lines.

A line is ``user<TAB>song<TAB>count``: 40 hex digits, a song id, a number from 1.

References
----------
.. [1] The Echo Nest Taste Profile subset, http://millionsongdataset.com/tasteprofile: 48,373,586 triplets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

USER_ID = re.compile(rb"[0-9a-f]{40}")
SONG_ID = re.compile(rb"SO[A-Z0-9]{16}")
COUNT = re.compile(rb"[0-9]{1,10}")
MOST_PLAYS = 2**31 - 1

USER_LENGTH, SONG_LENGTH, MOST_DIGITS = 40, 18, 10
_SONG_AT = USER_LENGTH + 1
_COUNT_AT = _SONG_AT + SONG_LENGTH + 1
_TAB, _LINE_FEED, _RETURN, _ZERO = b"\t\n\r0"


def _table(characters: bytes) -> np.ndarray:
    table = np.zeros(256, bool)
    table[np.frombuffer(characters, np.uint8)] = True
    return table


_IS_DIGIT = _table(b"0123456789")
_IS_HEX = _table(b"0123456789abcdef")
_IS_ID = _table(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


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
    padded = np.frombuffer(content + bytes(_COUNT_AT + MOST_DIGITS), np.uint8)
    ends = np.flatnonzero(padded[: len(content)] == _LINE_FEED)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    lengths = ends - starts
    lengths -= (lengths > 0) & (padded[ends - 1] == _RETURN)
    is_triplet = (lengths > _COUNT_AT) & (lengths <= _COUNT_AT + MOST_DIGITS)
    if not ended:
        is_triplet[-1:] = False
    fixed, plays = _columns(padded, starts[is_triplet], lengths[is_triplet] - _COUNT_AT)
    good = plays > 0
    good &= (fixed[:, USER_LENGTH] == _TAB) & (fixed[:, _COUNT_AT - 1] == _TAB)
    good &= _IS_HEX[fixed[:, :USER_LENGTH]].all(axis=1)
    good &= (fixed[:, _SONG_AT : _SONG_AT + 2] == (ord("S"), ord("O"))).all(axis=1)
    good &= _IS_ID[fixed[:, _SONG_AT + 2 : _COUNT_AT - 1]].all(axis=1)
    is_triplet[is_triplet] = good
    rejected = []
    for line in np.flatnonzero(~is_triplet).tolist():
        text = content[starts[line] : starts[line] + lengths[line]]
        cut_off = not ended and line == len(starts) - 1
        rejected.append((line, "truncated_line" if cut_off else reason_of(text) or "", shown(text)))
    return Block(
        _strings(fixed[good, :USER_LENGTH]),
        _strings(fixed[good, _SONG_AT : _COUNT_AT - 1]),
        plays[good].astype(np.int32),
        len(starts),
        rejected,
    )


def reason_of(line: bytes) -> str | None:
    """Return the reason to reject a line, None for a valid triplet.

    Reasons: ``wrong_fields``, ``bad_user_id``, ``bad_song_id``, ``bad_count`` (not a number from 1 to 2,147,483,647).
    """
    fields = line.split(b"\t")
    if len(fields) != 3:
        return "wrong_fields"
    user, song, count = fields
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


def _columns(padded: np.ndarray, starts: np.ndarray, n_digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first 60 bytes of lines, and their counts: 0 if invalid or too large."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, _COUNT_AT + MOST_DIGITS)
    rows = windows[starts]
    fixed, digits = rows[:, :_COUNT_AT], rows[:, _COUNT_AT:]
    counts = np.zeros(len(starts), np.int64)
    is_number = np.ones(len(starts), bool)
    longer = np.arange(len(starts))
    for place in range(MOST_DIGITS):
        # Nearly all counts have one digit, so each further digit concerns fewer lines.
        longer = longer[n_digits[longer] > place]
        digit = digits[longer, place]
        is_number[longer] &= _IS_DIGIT[digit]
        counts[longer] = counts[longer] * 10 + digit - _ZERO
    return fixed, np.where(is_number & (counts <= MOST_PLAYS), counts, 0)


def _strings(rows: np.ndarray) -> pa.StringArray:
    """Return rows of ASCII bytes, shape ``(n, width)``, as strings."""
    n, width = rows.shape
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(width)
    data = np.ascontiguousarray(rows)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data))
