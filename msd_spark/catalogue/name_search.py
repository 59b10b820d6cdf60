"""Songs by what people type: a title, or artist and title in any order and spelling.

The candidates of the index are compared with the query, as title alone, as artist and title, and as title and artist.
A name is equal to the query if it differs in nothing but case, accents, punctuation, guests, ignored words, a version
in brackets, or missing words of the artist. It is similar if a few letters differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from msd_spark.catalogue.name_index import Named, NameIndex
from msd_spark.catalogue.names import all_words, base_title, normalise_name, without_guests, without_ignored

ONE, SEVERAL, ARTIST, NONE = "one", "several", "artist", "none"
"""Outcomes of a search: the query names songs of one artist, of several, an artist, or nothing."""

SIMILAR = 85.0
"""Least similarity of a name that is taken for the query with typing errors: one per six or seven letters."""

FREQUENT = 10
"""A similar title counts besides equal ones if it is this many times as frequent: the query is a typing error of it.
An artist's name counts if the artist has this many times as many songs as there are of this title."""

LEAST_SIMILAR = 50.0
"""Least similarity of a suggestion."""

MOST_CHOICES = 20
"""Most songs listed for a name."""

CLOSEST = 8
"""Most suggestions if no name is similar."""

KNOWN = 10.0
"""Similarity that the best known song gains over an unknown one."""

VERSION, EDITION, WORDS, GUEST, PART = 2.0, 0.5, 1.0, 1.0, 1.5
"""Similarity lost by a title with a version that the query does not name, or an edition of the same recording; by
differing ignored words; and by an artist of whom the query names only a guest, or a part of the name."""

HAS_TITLE = 10.0
"""Similarity gained by a suggestion whose whole title is in the query and at least half of it."""

PER_VERSION, MOST_VERSIONS = 0.3, 3
"""Similarity that an artist gains per further version of a song: well-known songs are issued again."""

_EDITION = re.compile(r"\b(album|lp|single|explicit|mono|stereo|(digital(ly)? )?remaster(ed)?)\b", re.IGNORECASE)
_ARTISTS = re.compile(
    r"\s*[/;&_,]\s*|\s+(?:and|with|duet with|vs\.?)\s+|[\s(\[]+(?:feat|featuring|ft)\b\.?\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class Name:
    """The folded words of a name, with and without ignored words."""

    words: Sequence[str]
    significant: Sequence[str]

    @classmethod
    def of(cls, text: str) -> Name:
        """Return the name in a text."""
        words = all_words(text)
        return cls(words, without_ignored(words))

    @cached_property
    def compact(self) -> str:
        """All words as one."""
        return "".join(self.words)

    @cached_property
    def short(self) -> str:
        """The significant words as one."""
        return "".join(self.significant)

    @property
    def digits(self) -> str:
        """The digits of the words."""
        return "".join(filter(str.isdigit, self.compact))

    def __add__(self, other: Name) -> Name:
        words = [*self.words, *other.words]
        return Name(words, without_ignored(words))


@dataclass(frozen=True)
class Match:
    """A candidate, its similarity to the query, at most 100, and whether their names are equal, even in accents."""

    song: Named
    similarity: float
    is_equal: bool
    is_literal: bool

    @property
    def score(self) -> float:
        """Similarity that counts how well the song is known."""
        return self.similarity + KNOWN * self.song.known

    @property
    def order(self) -> tuple[float, int]:
        """Key for sorting, the best match first."""
        return -self.score, self.song.number


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes
    ----------
    outcome : str
        `ONE`, `SEVERAL`, `ARTIST` or `NONE`.
    song : Named or None
        The song of `ONE`: of several versions by the artist, the one with the most similar name, or the best known.
    others : tuple of Named
        Its other versions; the best known version of each artist; songs of the artist; or those with the closest names.
    versions : tuple of int
        Number of versions by the artist of each of `others`.
    is_equal : bool
        Whether a name is equal to the query, not only similar.
    """

    outcome: str
    song: Named | None
    others: tuple[Named, ...]
    versions: tuple[int, ...] = ()
    is_equal: bool = False


def search_names(index: NameIndex, query: str) -> Found:
    """Return the song of an index that a query names, or the choices."""
    candidates = index.with_all_words(query)
    result = _named(query, candidates)
    if result is None:
        candidates += index.with_some_words(query)
        result = _named(query, candidates)
    return result or Found(NONE, None, tuple(_closest(query, candidates)))


def _named(query: str, candidates: Iterable[Named]) -> Found | None:
    """Return the songs whose names are equal or similar to a query; None without any."""
    matches = compared(query, {song.number: song for song in candidates}.values())
    equal = [match for match in matches if match.is_equal]
    similar = [match for match in matches if not match.is_equal and match.similarity >= SIMILAR]
    if equal:
        count = Counter(_main_title(match.song) for match in similar)
        similar = [match for match in similar if count[_main_title(match.song)] >= FREQUENT * len(equal)]
        equal += [Match(match.song, 100.0, False, False) for match in similar]
    named = sorted(equal or similar, key=lambda match: match.order)
    name = Name.of(query).short
    of_artist = [match.song for match in matches if _main_artist(match.song) == name]
    if len(of_artist) > max(1, FREQUENT * len(named)):
        titles = {_main_title(song): song for song in reversed(of_artist)}
        songs = sorted(titles.values(), key=lambda song: song.number)[: MOST_CHOICES - len(named)]
        return Found(ARTIST, None, (*songs, *(match.song for match in named[:MOST_CHOICES])))
    groups: dict[str, list[Match]] = {}
    for match in named:
        groups.setdefault(_main_artist(match.song), []).append(match)
    if not groups:
        return None
    if len(groups) == 1:
        best = min(named, key=lambda match: (not match.is_equal, not match.is_literal, match.order))
        others = tuple(match.song for match in named if match is not best)[:MOST_CHOICES]
        return Found(ONE, best.song, others, (1,) * len(others), best.is_equal)
    ordered = sorted(groups.values(), key=_group_order)[:MOST_CHOICES]
    return Found(SEVERAL, None, tuple(group[0].song for group in ordered), tuple(map(len, ordered)), bool(equal))


def _group_order(group: list[Match]) -> tuple[float, int]:
    return -group[0].score - PER_VERSION * min(len(group) - 1, MOST_VERSIONS), group[0].song.number


def _closest(query: str, candidates: Iterable[Named]) -> list[Named]:
    """Return the songs with the closest words and letters to a query, one per artist and title."""
    name = Name.of(query)
    songs: dict[tuple[str, str], tuple[float, Named]] = {}
    for song in candidates:
        title, artist = Name.of(base_title(song.title or "")), _artist_names(song.artist or "")[0][0]
        words = " ".join([*artist.significant, *Name.of(song.title or "").significant])
        by_words = fuzz.token_set_ratio(" ".join(name.significant), words, score_cutoff=LEAST_SIMILAR)
        if by_words:
            by_letters = max(fuzz.ratio(name.compact, other.compact) for other in (title, artist + title))
            has_title = set(title.significant) <= set(name.significant) and 2 * len(title.short) >= len(name.short)
            score = (by_words + by_letters) / 2 + HAS_TITLE * has_title + KNOWN * song.known
            songs.setdefault((_main_artist(song), _main_title(song)), (-score, song))
    return [song for _, song in sorted(songs.values(), key=lambda pair: (pair[0], pair[1].number))[:CLOSEST]]


def compared(query: str, songs: Iterable[Named]) -> list[Match]:
    """Return how similar the name of each song is to a query."""
    texts = sorted({query, " ".join(query.rsplit(" by ", 1))})
    queries, literal = [Name.of(text) for text in texts], normalise_name(query)
    return [_compared(queries, literal, song) for song in songs]


def _compared(queries: list[Name], literal: str, song: Named) -> Match:
    equal, similar = 0.0, 0.0
    titles, artists = _title_names(song.title or ""), _artist_names(song.artist or "")
    for query in queries:
        for title, lost in titles:
            if title.short == query.short:
                equal = max(equal, 100 - lost - WORDS * (title.compact != query.compact))
            elif _rest_is_of(query, title, artists[0][0]):
                equal = max(equal, 100 - lost - PART)
            similar = max(similar, _similarity(query, title) - lost)
            for name, lost_by_artist in _both(title, artists):
                loss = lost + lost_by_artist
                if name.short == query.short:
                    equal = max(equal, 100 - loss - WORDS * (name.compact != query.compact))
                similar = max(similar, _similarity(query, name) - loss)
    names = (song.title or "", f"{song.artist} {song.title}", f"{song.title} {song.artist}")
    is_literal = bool(equal) and literal in map(normalise_name, names)
    return Match(song, equal or similar, bool(equal), is_literal)


def _similarity(query: Name, name: Name) -> float:
    """Return the similarity of two names by letters, 0 below `SIMILAR`; another number is another name."""
    similarity = OSA.normalized_similarity(query.compact, name.compact, score_cutoff=SIMILAR / 100)
    return 100 * similarity if similarity and query.digits == name.digits else 0.0


def _rest_is_of(query: Name, title: Name, artist: Name) -> bool:
    """Return whether a query has all words of a title, and besides only words of the artist's name."""
    rest = Counter(query.significant)
    rest.subtract(title.significant)
    return min(rest.values()) >= 0 and set((+rest).keys()) <= set(artist.words)


def _both(title: Name, artists: list[tuple[Name, float]]) -> Iterator[tuple[Name, float]]:
    for artist, loss in artists:
        yield artist + title, loss
        yield title + artist, loss


def _main_artist(song: Named) -> str:
    return _artist_names(song.artist or "")[1][0].short


def _main_title(song: Named) -> str:
    return Name.of(base_title(song.title or "")).short


@lru_cache(maxsize=8192)
def _artist_names(artist: str) -> list[tuple[Name, float]]:
    """Return the whole name, the main artist, and the artists in the name, each with the similarity lost."""
    parts = [(part, GUEST if number else 0.0) for number, part in enumerate(_ARTISTS.split(artist)) if part]
    return [(Name.of(name), loss) for name, loss in ((artist, 0.0), (without_guests(artist), 0.0), *parts[:4])]


@lru_cache(maxsize=8192)
def _title_names(title: str) -> list[tuple[Name, float]]:
    base = base_title(title)
    names = {title: 0.0} if title else {}
    if base != title:
        names[base] = EDITION if _EDITION.search(title[len(base) :]) else VERSION
    return [(Name.of(name), loss) for name, loss in names.items()]
