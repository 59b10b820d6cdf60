"""Read metadata from CSV files: a header with names of columns, and one song per record.

Fields are separated by commas, tabs or semicolons, whichever the header has. A plain file is split into parts at the
ends of records; a compressed one is read by one worker.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import IO

import pyarrow as pa

from msd_spark.core.filesystems import open_location
from msd_spark.core.track_ids import TRACK_ID
from msd_spark.ingest.units import Part
from msd_spark.io.lines import LONGEST_LINE, decoded
from msd_spark.io.unpacked import START_BYTES, is_compressed, open_unpacked
from msd_spark.songfile.metadata import MetadataError, Refused, Rows, known_columns

DELIMITERS = ",\t;"

MOST_LINES = 20
"""Lines of a record at most: a quote that is not closed would take in all songs after it."""

_SONG = re.compile(rb'"?' + TRACK_ID.pattern.encode() + rb'"?[,;\t]')
"""Start of a line that is a song, if track ids are the first column."""

Record = tuple[int, list[str] | csv.Error]
"""Number of a record's first line, from 1, and its fields."""


class _Lines:
    """Lines of a stream as text; `offset` and `number` are those after the last line read.

    Raises `csv.Error` if a record has more than `MOST_LINES`.
    """

    def __init__(self, stream: IO[bytes], offset: int, number: int) -> None:
        self._stream, self.offset, self.number = stream, offset, number
        self._record: list[bytes] = []
        self._again: deque[bytes] = deque()

    def begin_record(self) -> None:
        """Begin a record with the next line."""
        self._record = []

    def check(self) -> None:
        """Raise `csv.Error` if a line of this record after its first begins another song."""
        if any(_SONG.match(line) for line in self._record[1:]):
            raise csv.Error("a quoted field has the line of another song")

    def keep_first(self) -> None:
        """Read the lines of this record again, except its first."""
        rest = self._record[1:]
        self._again.extendleft(reversed(rest))
        self.offset -= sum(map(len, rest))
        self.number -= len(rest)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self._record) == MOST_LINES:
            raise csv.Error(f"a quoted field has more than {MOST_LINES} lines")
        line = self._again.popleft() if self._again else self._stream.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self._record.append(line)
        self.offset += len(line)
        self.number += 1
        return decoded(self.number, line, ended=True).text


def parts(location: str, rows: int) -> Iterator[Part]:
    """Yield the parts of a file, of `rows` records each; none of a compressed file."""
    filesystem, path, _ = open_location(location)
    with filesystem.open_input_file(path) as file:
        if is_compressed(file.read(START_BYTES)):
            return
    with open_unpacked(location) as stream:
        lines = _Lines(stream, stream.tell(), 0)
        _, delimiter = _header(lines, location)
        start, mark = 0, (lines.offset, lines.number)
        stop = 0
        for stop, _ in enumerate(_records(lines, delimiter), 1):
            if stop - start == rows:
                yield Part(start, stop, mark)
                start, mark = stop, (lines.offset, lines.number)
        if stop > start:
            yield Part(start, stop, mark)


def read(location: str, part: Part | None, at_once: int) -> Iterator[Rows]:
    """Yield the rows of a part, or of the whole file, `at_once` at a time."""
    with open_unpacked(location) as stream:
        lines = _Lines(stream, 0, 0)
        names, delimiter = _header(lines, location)
        if part:
            offset, number = part.mark
            stream.seek(offset)
            lines = _Lines(stream, offset, number)
        records = islice(_records(lines, delimiter), part.stop - part.start if part else None)
        while batch := list(islice(records, at_once)):
            yield _rows(names, batch)


def _header(lines: _Lines, location: str) -> tuple[list[str], str]:
    """Return the names of columns and the delimiter."""
    lines.begin_record()
    line = next(lines, "").strip()
    delimiter = max(DELIMITERS, key=line.count)
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as error:
        raise MetadataError("wrong_layout", f"the header of {location} cannot be read: {error}") from None
    known_columns(names, f"the header of {location}")
    return names, delimiter


def _records(lines: _Lines, delimiter: str) -> Iterator[Record]:
    """Yield the records of lines, except empty lines.

    Of a record that cannot be read, only the first line is one; the others are read as further records.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin_record()
        number = lines.number + 1
        try:
            record: list[str] | csv.Error = next(reader)
            lines.check()
        except StopIteration:
            return
        except csv.Error as error:
            lines.keep_first()
            record = error
        if record != []:
            yield number, record


def _rows(names: list[str], batch: list[Record]) -> Rows:
    members: list[str] = []
    fields: list[list[str]] = []
    refused: list[Refused] = []
    for number, record in batch:
        if isinstance(record, list) and len(record) == len(names):
            members.append(f"line {number}")
            fields.append(record)
        elif isinstance(record, list):
            detail = f"{len(record)} columns, the header has {len(names)}"
            refused.append(Refused(f"line {number}", "wrong_number_of_columns", detail))
        else:
            refused.append(Refused(f"line {number}", "bad_quotes", str(record)))
    known = set(known_columns(names, "the header"))
    columns = {
        name: pa.array([record[place] for record in fields], pa.string())
        for place, name in enumerate(names)
        if name in known
    }
    return Rows(pa.array(members, pa.string()), columns, refused)
