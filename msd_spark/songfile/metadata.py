"""Convert rows of metadata to songs without segments.

The columns are those of a song file, as named in ``songs/``; the official ``track_metadata.db`` has eleven of them.

References
----------
.. [1] MSongsDB, ``create_track_metadata_db.py``: columns of ``track_metadata.db``,
   https://github.com/tbertinmahieux/MSongsDB
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from msd_spark.core.errors import InputError
from msd_spark.core.schemas import ARRAY_COLUMNS, SCALAR_COLUMNS, SENTINELS, SONGS
from msd_spark.core.track_ids import TRACK_ID
from msd_spark.songfile.song import text

MISSING_NUMBERS = pa.array(["", "na", "nan", "none", "null", "\\n"])
"""Texts that mean "unknown" in a column of numbers, in lower case."""

LONGEST_DETAIL = 80
"""Characters of a value that a rejection has."""


class MetadataError(InputError):
    """A file that has no rows of metadata.

    Reasons: ``wrong_layout``, ``unreadable_data``.
    """


class Refused(NamedTuple):
    """A row that is no song: its name within the file, a reason code, and the value seen.

    Reasons: ``no_track_id``, ``bad_track_id``, ``bad_value``, ``wrong_number_of_columns``, ``bad_quotes``.
    """

    member: str
    reason: str
    detail: str


class Rows(NamedTuple):
    """Consecutive rows of a file: their names within it, their values by column, and rows that are not in these."""

    members: pa.Array
    columns: dict[str, pa.Array]
    refused: list[Refused]


def known_columns(names: Iterable[str], place: str) -> list[str]:
    """Return the names that are scalar columns of ``songs/``.

    Raises `MetadataError` without ``track_id``, without any other column, and if there are arrays of segments.
    """
    present = list(names)
    known = [name for name in present if name in SCALAR_COLUMNS]
    arrays = [name for name in present if name in ARRAY_COLUMNS]
    if arrays:
        raise MetadataError(
            "wrong_layout", f"{place} has {arrays[0]}, but only metadata is read from it; name its song files instead"
        )
    if "track_id" not in known or len(known) < 2:
        columns = ", ".join(map(str, present))[:LONGEST_DETAIL]
        seen = f"it has {columns}" if columns else "it is empty"
        raise MetadataError("wrong_layout", f"{place} needs track_id and another column of songs/; {seen}")
    if len(set(known)) < len(known):
        raise MetadataError("wrong_layout", f"{place} has a column twice: {', '.join(known)[:LONGEST_DETAIL]}")
    return known


def as_array(values: list[object]) -> pa.Array:
    """Return Python values of one column as an array; values of several types become texts."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([value if value is None else _printed(value) for value in values], pa.string())


def _printed(value: object) -> str:
    return text(value) if isinstance(value, bytes) else str(value)


def songs_of(rows: Rows, source: str) -> tuple[pa.RecordBatch, list[Refused]]:
    """Return the songs of rows in the schema `SONGS`, without segments, and the refused rows.

    Columns that are not in the rows, and values that mean "unknown", are null.
    """
    n = len(rows.members)
    values: dict[str, pa.Array] = {}
    invalid = np.zeros(n, bool)
    bad_values: dict[int, str] = {}
    for name, kind in SCALAR_COLUMNS.items():
        if name not in rows.columns:
            values[name] = pa.nulls(n, kind)
        elif kind == pa.string():
            values[name] = _texts(rows.columns[name])
        else:
            values[name], wrong = _numbers(name, rows.columns[name])
            for place in np.flatnonzero(wrong & ~invalid).tolist():
                bad_values[place] = f"{name} is {rows.columns[name][place].as_py()!r}"[:LONGEST_DETAIL]
            invalid |= wrong
    track_ids = values["track_id"]
    is_track = pc.fill_null(pc.match_substring_regex(track_ids, f"^{TRACK_ID.pattern}$"), False)
    invalid |= ~is_track.to_numpy(zero_copy_only=False)
    refused = [
        _refused(rows.members[place].as_py(), track_ids[place].as_py(), bad_values.get(place))
        for place in np.flatnonzero(invalid).tolist()
    ]
    empty = pa.array(np.zeros(n + 1, np.int32))
    for name, list_type in ARRAY_COLUMNS.items():
        values[name] = pa.ListArray.from_arrays(empty, pa.array([], list_type.value_type), type=list_type)
    values["n_segments"] = pa.array(np.zeros(n, np.int32))
    values["source"] = pa.repeat(pa.scalar(source), n)
    values["member"] = rows.members
    songs = pa.RecordBatch.from_arrays([values[field.name] for field in SONGS], schema=SONGS)
    return songs.filter(pa.array(~invalid)) if invalid.any() else songs, [*rows.refused, *refused]


def _refused(member: str, track_id: str | None, bad_value: str | None) -> Refused:
    if track_id is None:
        return Refused(member, "no_track_id", "track_id is empty")
    if not TRACK_ID.fullmatch(track_id):
        return Refused(member, "bad_track_id", f"{track_id[:LONGEST_DETAIL]!r} is not TR and 16 letters and digits")
    return Refused(member, "bad_value", bad_value or "")


def _plain(values: pa.Array) -> pa.Array:
    """Return values without a dictionary, and bytes as text."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = pa.array([None if value is None else text(value) for value in values.to_pylist()], pa.string())
    return values


def _texts(values: pa.Array) -> pa.Array:
    texts = _plain(values).cast(pa.string())
    return _with_nulls(texts, pc.equal(texts, ""))


def _with_nulls(texts: pa.Array, places: pa.Array) -> pa.Array:
    # `pc.if_else` of pyarrow 14 returns wrong texts for a slice of an array.
    return pc.replace_with_mask(texts, places, pa.scalar(None, texts.type))


def _numbers(name: str, values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return numbers, null where unknown, and which values are not numbers of the column's type."""
    kind, values = SCALAR_COLUMNS[name], _plain(values)
    if pa.types.is_float32(values.type):
        # Via the shortest decimal: 99.944 in float32 is 99.94400024414062 in float64.
        values = values.cast(pa.string())
    wrong = np.zeros(len(values), bool)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        texts = pc.utf8_trim_whitespace(values)
        texts = _with_nulls(texts, pc.is_in(pc.utf8_lower(texts), value_set=MISSING_NUMBERS))
        try:
            floats = texts.cast(pa.float64())
        except pa.ArrowInvalid:
            parsed = [_parsed(one) for one in texts.to_pylist()]
            wrong |= np.array([one is False for one in parsed])
            floats = pa.array([None if one is False else one for one in parsed], pa.float64())
    else:
        floats = values.cast(pa.float64(), safe=False)
    numbers = floats.to_numpy(zero_copy_only=False)
    unknown = np.isnan(numbers) | np.isin(numbers, SENTINELS.get(name, ()))
    wrong |= np.isinf(numbers)
    if kind == pa.int32():
        with np.errstate(invalid="ignore"):
            wrong |= ~unknown & ((numbers != np.floor(numbers)) | (np.abs(numbers) >= 2**31))
    unknown |= wrong
    numbers = np.where(unknown, 0, numbers).astype(kind.to_pandas_dtype())
    return pa.array(numbers, kind, mask=unknown), wrong


def _parsed(value: str | None) -> float | bool | None:
    """Return the number in a text, False if it is none."""
    if value is None:
        return None
    try:
        return float(value) if "_" not in value else False
    except ValueError:
        return False
