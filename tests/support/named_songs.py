"""Small indices of names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msd_spark.catalogue.name_index import FILE, Named, NameIndex, build_name_index
from msd_spark.catalogue.name_search import Found, search_names


def numbered(names: Sequence[tuple[str | None, str | None]], known: Sequence[float] = ()) -> list[Named]:
    """Return songs with artists and titles, the best known first."""
    level = known or [1 - number / (1 + len(names)) for number in range(len(names))]
    return [
        Named(number, f"TR{number:016d}", artist, title, None, None, level[number])
        for number, (artist, title) in enumerate(names)
    ]


@contextmanager
def indexed(songs: Sequence[Named]) -> Iterator[NameIndex]:
    """Yield an index of songs."""
    with TemporaryDirectory() as folder:
        build_name_index(Path(folder) / FILE, songs)
        with NameIndex(Path(folder) / FILE) as index:
            yield index


def found_in(songs: Sequence[Named], query: str) -> Found:
    """Search an index of songs."""
    with indexed(songs) as index:
        return search_names(index, query)


def names(songs: Sequence[Named]) -> list[tuple[str | None, str | None]]:
    """Return artist and title of songs."""
    return [(song.artist, song.title) for song in songs]
