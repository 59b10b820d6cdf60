"""An index of artist names and titles in one SQLite file, and the candidates of a query.

The words of a song are in a full-text index (FTS5), and its compact names in a B-tree, so that "thunder struck" and
"AC/DC" are found in any spelling. Songs are numbered from the best known, so that the first rows of a common word
are the best known songs. A query's unknown words are replaced by words of the index that differ in a letter or two.
"""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Self

from rapidfuzz import process
from rapidfuzz.distance import OSA

from msd_spark.catalogue.names import IGNORED, all_words, base_title, search_words, without_guests, without_ignored

FILE = "names.sqlite"

CANDIDATES = 400
"""Songs per part of a search that are compared with the query, the best known ones."""

ROWS_TO_RANK = 30_000
"""Occurrences of the words that are ranked by BM25 if no song has all words of a query."""

SHORTEST_CORRECTED = 4
"""Letters of the shortest word that is corrected; below, any word is like many others."""

LONG_WORD = 8
"""Letters from which a word may differ by two letters, otherwise by one."""

COMMON = 200
"""Songs of a word beyond which it is not corrected."""

CORRECTIONS = 8
"""Most corrections of a word."""

MORE_FREQUENT = 5
"""A word of the index is corrected to words that are this many times as frequent."""

SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -200000;
CREATE TABLE songs (
    number INTEGER PRIMARY KEY, track_id TEXT, artist TEXT, title TEXT, release TEXT, year INTEGER, known REAL
);
CREATE TABLE names (name TEXT, number INTEGER, PRIMARY KEY (name, number)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(
    artist, title, content = '', tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'"
);
CREATE TABLE vocabulary (words TEXT, songs BLOB);
"""


@dataclass(frozen=True)
class Named:
    """A song of the index; `known` is 0 to 1, 1 for the best known, and `number` its rank by it, from 0."""

    number: int
    track_id: str
    artist: str | None
    title: str | None
    release: str | None
    year: int | None
    known: float


def build_name_index(path: Path, songs: Iterable[Named]) -> None:
    """Write the index of songs, which are sorted by their number."""
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
        rows: list[Named] = []
        names: list[tuple[str, int]] = []

        def indexed() -> Iterator[tuple[int, str, str]]:
            for song in songs:
                rows.append(song)
                names.extend((name, song.number) for name in compact_names(song.artist, song.title))
                yield song.number, _indexed_artist(song.artist or ""), _indexed(song.title or "")

        database.executemany("INSERT INTO words (rowid, artist, title) VALUES (?, ?, ?)", indexed())
        database.executemany(
            "INSERT INTO songs VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((one.number, one.track_id, one.artist, one.title, one.release, one.year, one.known) for one in rows),
        )
        database.executemany("INSERT INTO names VALUES (?, ?)", sorted(names))
        database.execute("INSERT INTO words (words) VALUES ('optimize')")
        database.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'words', 'row')")
        terms = sorted(database.execute("SELECT term, doc FROM temp.terms"))
        counts = array("I", (count for _, count in terms)).tobytes()
        database.execute("INSERT INTO vocabulary VALUES (?, ?)", (" ".join(word for word, _ in terms), counts))
    database.close()


def _indexed(text: str) -> str:
    """Return the words to index: the parts of each word between punctuation, and the word as a whole."""
    words = search_words(text)
    return " ".join(part for parts in words for part in (*parts, *(["".join(parts)] if len(parts) > 1 else [])))


_indexed_artist = lru_cache(maxsize=65_536)(_indexed)  # artists come often


def compact(words: Sequence[str]) -> str:
    """Return words as one, without ignored words.

    Examples
    --------
    >>> compact(["the", "thunder", "struck"]), compact(["the", "the"])
    ('thunderstruck', 'thethe')
    """
    return "".join(without_ignored(words))


def compact_names(artist: str | None, title: str | None) -> set[str]:
    """Return the compact title, and artist and title, of a song; with and without guests and version."""
    titles = [all_words(name) for name in {title or "", base_title(title or "")}]
    names = {compact([*one, *other]) for one in ([], *_words_of_artist(artist or "")) for other in titles}
    return names - {""}


@lru_cache(maxsize=65_536)
def _words_of_artist(artist: str) -> list[list[str]]:
    return [all_words(name) for name in {artist, without_guests(artist)}]


class NameIndex:
    """An index that `build_name_index` wrote."""

    def __init__(self, path: Path) -> None:
        # immutable: no locks, which network file systems lack; nothing writes the file once it is complete
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    @cached_property
    def _vocabulary(self) -> tuple[list[str], array[int]]:
        words, counts = self._database.execute("SELECT words, songs FROM vocabulary").fetchone()
        return words.split(" "), array("I", counts)

    def songs_with(self, word: str) -> int:
        """Return the number of songs with a word in artist name or title."""
        words, counts = self._vocabulary
        place = bisect_left(words, word)
        return counts[place] if place < len(words) and words[place] == word else 0

    def corrections(self, word: str) -> list[str]:
        """Return words of the index that differ in a letter, or two of a long word, and are more frequent."""
        count = self.songs_with(word)
        if len(word) < SHORTEST_CORRECTED or count > COMMON:
            return []
        words, counts = self._vocabulary
        most = 2 if len(word) >= LONG_WORD else 1
        similar = process.extract(word, words, scorer=OSA.distance, score_cutoff=most, limit=None)
        ranked = sorted((int(distance), -counts[place], other) for other, distance, place in similar if other != word)
        return [other for _, negative, other in ranked if -negative > MORE_FREQUENT * count][:CORRECTIONS]

    def with_all_words(self, query: str) -> list[Named]:
        """Return the songs that have all words of a query, in some spelling, or a name equal to it."""
        alternatives, _ = self._expressions(query)
        numbers = set(self._named(compact(all_words(query))))
        if alternatives:
            numbers.update(self._matching(" AND ".join(alternatives), "rowid"))
        return self._songs(numbers)

    def with_some_words(self, query: str) -> list[Named]:
        """Return the songs with most of the rarest words of a query, by BM25."""
        alternatives, counts = self._expressions(query)
        words = search_words(query)
        pairs = ("".join([*one, *other]) for one, other in pairwise(words))
        chosen, total = [_quoted(pair) for pair in pairs if self.songs_with(pair)], 0
        for count, expression in sorted(zip(counts, alternatives, strict=True)):
            total += count
            if total <= ROWS_TO_RANK or not chosen:
                chosen.append(expression)
        return self._songs(self._matching(" OR ".join(chosen), "bm25(words), rowid")) if chosen else []

    def _songs(self, numbers: Iterable[int]) -> list[Named]:
        chosen = sorted(numbers)
        marks = ", ".join("?" * len(chosen))
        rows = self._database.execute(f"SELECT * FROM songs WHERE number IN ({marks}) ORDER BY number", chosen)
        return [Named(*row) for row in rows]

    def _named(self, name: str) -> list[int]:
        rows = self._database.execute("SELECT number FROM names WHERE name = ? LIMIT ?", (name, CANDIDATES))
        return [number for (number,) in rows]

    @lru_cache(maxsize=8)  # noqa: B019  # one index per command
    def _expressions(self, query: str) -> tuple[list[str], list[int]]:
        """Return the expression for each word of a query, and the number of songs with the word."""
        words = search_words(query)
        words = [parts for parts in words if not IGNORED.issuperset(parts)] or words
        counts = [max(self.songs_with(part) for part in parts) for parts in words]
        return [self._alternatives(parts) for parts in words], counts

    def _alternatives(self, parts: Sequence[str]) -> str:
        """Return the expression for a word of a query: its parts, the whole, or a correction."""
        whole = "".join(parts)
        options = [" AND ".join(map(_quoted, parts)), *([_quoted(whole)] if len(parts) > 1 else [])]
        options += map(_quoted, self.corrections(whole))
        return f"({' OR '.join(f'({option})' for option in options)})"

    def _matching(self, expression: str, order: str) -> list[int]:
        rows = self._database.execute(
            f"SELECT rowid FROM words WHERE words MATCH ? ORDER BY {order} LIMIT ?", (expression, CANDIDATES)
        )
        return [number for (number,) in rows]


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
