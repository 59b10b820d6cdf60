"""Check the content of fetched files: first line, number of rows, end."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from msd_spark.core.errors import UserError
from msd_spark.core.track_ids import TRACK_ID
from msd_spark.fetch.sources import Contents, MirrorError, Source
from msd_spark.formats.musixmatch import COMMENT, WORDS, BagOfWordsError, parse_bag, parse_words
from msd_spark.formats.taste_profile import reason_of
from msd_spark.io.databases import open_database
from msd_spark.io.unpacked import open_unpacked
from msd_spark.songfile.aggregate import describe
from msd_spark.songfile.parse import SongFileError, parse_song

_HDF5 = b"\x89HDF\r\n\x1a\n"
_LONGEST_LINE = 1 << 20
_SHOWN = 60
_MOST_TEXT = 8 << 30

_LABEL = re.compile(rf"{TRACK_ID.pattern}\t[^\t]+(\t[^\t]+)?".encode())
_STEM = re.compile(rb"[^<]*<SEP>.*")
_MISMATCH = re.compile(rf"ERROR: <SO[A-Z0-9]{{16}} {TRACK_ID.pattern}> .*".encode())
_DUPLICATES = re.compile(rb"%.*")
_ARTIST_ID = re.compile(r"AR[A-Z0-9]{16}")
_ARTIST = re.compile(rf"{_ARTIST_ID.pattern}<SEP>[^<]*<SEP>{TRACK_ID.pattern}<SEP>.*".encode())
_TRACK = re.compile(rf"{TRACK_ID.pattern}<SEP>SO[A-Z0-9]{{16}}<SEP>.*<SEP>.*".encode())


def check_contents(source: Source, path: Path) -> int:
    """Return the number of rows of a fetched file, or of songs in a folder, after checking it.

    Raises a MirrorError if the content or the number is wrong.
    """
    try:
        count = _READERS[source.contents](path)
    except UserError as error:
        raise MirrorError(str(error)) from None
    if source.count is not None and count != source.count:
        raise MirrorError(f"{path.name} has {count:,} {source.contents} instead of {source.count:,}")
    if not count:
        raise MirrorError(f"{path.name} has no {source.contents}")
    return count


def _count_songs(folder: Path) -> int:
    files = sorted(folder.rglob("*.h5"))
    for file in files:
        with file.open("rb") as opened:
            if opened.read(len(_HDF5)) != _HDF5:
                raise MirrorError(f"{file.name} is not an HDF5 file")
    if files:
        try:
            parse_song(files[0].read_bytes(), files[0].stem)
        except SongFileError as error:
            raise MirrorError(f"{files[0].name} is not a song file ({error})") from None
    return len(files)


def _count_bags(path: Path) -> int:
    words: list[str] | None = None
    count = 0
    for line in _lines(path):
        if not line or line.startswith(COMMENT.encode()):
            continue
        text = line.decode("utf-8", "replace")
        if words is None:
            if not text.startswith(WORDS):
                raise MirrorError(f"{path.name} begins with {text[:_SHOWN]!r} instead of a list of words ({WORDS}…)")
            words = parse_words(text)
            continue
        if not count:
            try:
                parse_bag(text, len(words))
            except BagOfWordsError as error:
                raise MirrorError(f"{path.name} does not begin with a bag of words ({error.detail[:_SHOWN]})") from None
        count += 1
    return count


@dataclass(frozen=True)
class _Database:
    """An SQLite database: a query of its number of rows, columns to read completely, and the form of its first id."""

    count: str
    columns: tuple[tuple[str, str], ...]
    form: re.Pattern[str]

    def __call__(self, path: Path) -> int:
        """Return the number of rows."""
        try:
            with open_database(str(path)) as database:
                (count,) = database.execute(self.count).fetchone()
                # Reads every page of the tables, which detects a truncated file.
                for table, column in self.columns:
                    database.execute(f"SELECT max(length({column})) FROM {table} NOT INDEXED").fetchone()
                table, column = self.columns[0]
                first = database.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise MirrorError(f"{path.name} is not a complete database of this kind ({error})") from None
        if first and not (isinstance(first[0], str) and self.form.fullmatch(first[0])):
            raise MirrorError(f"{path.name} has {first[0]!r} as {column}")
        return int(count)


def _count_summary(path: Path) -> int:
    description = describe(str(path))
    if description is None or description[1]:
        raise MirrorError(f"{path.name} is not a summary file of songs")
    return description[0]


def _count_triplets(path: Path) -> int:
    for line in _lines(path):
        reason = reason_of(line)
        if reason:
            raise MirrorError(f"{path.name} does not begin with a triplet ({reason}): {line[:_SHOWN]!r}")
        break
    count, last = 0, b""
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(1 << 22):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last not in (b"\n", b""))


def _rows(form: re.Pattern[bytes]) -> Callable[[Path], int]:
    """Return a function that counts the rows of a text file and checks the first one."""

    def count(path: Path) -> int:
        n_rows = 0
        for line in _lines(path):
            if not line or line.startswith(b"#"):
                continue
            if not n_rows and not form.fullmatch(line):
                text = line[:_SHOWN].decode("utf-8", "replace")
                raise MirrorError(f"{path.name} begins with {text!r}, which is not the expected format")
            n_rows += 1
        return n_rows

    return count


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file without their ends."""
    n_read = 0
    with open_unpacked(str(path), ".txt") as stream:
        while line := stream.readline(_LONGEST_LINE):
            n_read += len(line)
            if len(line) == _LONGEST_LINE or n_read > _MOST_TEXT:
                raise MirrorError(f"{path.name} is not the expected text file: a line, or the file, is too long")
            yield line.rstrip(b"\r\n")


_READERS: dict[Contents, Callable[[Path], int]] = {
    Contents.SONGS: _count_songs,
    Contents.BAGS: _count_bags,
    Contents.STEMS: _rows(_STEM),
    Contents.LABELS: _rows(_LABEL),
    Contents.TAGS: _Database(
        "SELECT count(*) FROM tids", (("tids", "tid"), ("tags", "tag"), ("tid_tag", "val")), TRACK_ID
    ),
    Contents.TRIPLETS: _count_triplets,
    Contents.MISMATCHES: _rows(_MISMATCH),
    Contents.TRACKS: _rows(_TRACK),
    Contents.DUPLICATES: _rows(_DUPLICATES),
    Contents.METADATA: _Database(
        "SELECT count(*) FROM songs", (("songs", "track_id"), ("songs", "artist_hotttnesss")), TRACK_ID
    ),
    Contents.SUMMARY: _count_summary,
    Contents.ARTISTS: _rows(_ARTIST),
    Contents.ARTIST_TERMS: _Database(
        "SELECT count(DISTINCT artist_id) FROM artist_term",
        (("artist_term", "artist_id"), ("artist_mbtag", "mbtag")),
        _ARTIST_ID,
    ),
    Contents.SIMILAR_ARTISTS: _Database(
        "SELECT count(DISTINCT target) FROM similarity",
        (("similarity", "target"), ("artists", "artist_id")),
        _ARTIST_ID,
    ),
}
