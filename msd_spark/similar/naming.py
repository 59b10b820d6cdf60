"""The song that the words of a command name, and the errors for other outcomes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from msd_spark.catalogue.name_index import Named
from msd_spark.catalogue.name_search import ARTIST, NONE, ONE, Found
from msd_spark.catalogue.names import display_name
from msd_spark.core.errors import UserError
from msd_spark.core.track_ids import TRACK_ID
from msd_spark.similar.catalogue import Catalogue, Query
from msd_spark.similar.playlist import one_line

MOST_VERSIONS = 8
"""Most other versions that are listed beside the chosen one."""


def named_song(catalogue: Catalogue, text: str) -> Query:
    """Return a track of the catalogue by its id or its name; raise `UserError` with the choices otherwise.

    Other versions of the song by the artist are listed on standard error.
    """
    query = catalogue.of_track(text.strip())
    if query is not None:
        return query
    if TRACK_ID.fullmatch(text.strip()):
        raise UserError(
            f"{text.strip()} has no embedding in embeddings/{catalogue.run}; "
            f"msd-spark lineage {text.strip()} --run {catalogue.run} says why"
        )
    result = catalogue.search_names(text)
    if result.outcome != ONE or result.song is None:
        raise UserError("\n".join(_choices(text, result, len(catalogue))))
    query = catalogue.of_track(result.song.track_id)
    if query is None:
        raise AssertionError(f"{result.song.track_id} is in the index of names only")
    if not result.is_equal:
        print(f"no song is called {one_line(text)!r}; using the most similar name", file=sys.stderr)
    if result.others:
        print("other versions by this artist; give a track id to choose one", file=sys.stderr)
        print("\n".join(map(_line, result.others[:MOST_VERSIONS])), file=sys.stderr)
    return query


def _choices(text: str, result: Found, n_songs: int) -> Iterator[str]:
    """Yield the lines of the error for a text that names no song, or several, of `n_songs` embedded ones."""
    name = repr(one_line(text))
    if result.outcome == NONE:
        instead = "closest" if result.others else "give 'artist - title', a track id, or a song file (.h5)"
        yield f"no song is called {name} among the {n_songs:,} with an embedding; {instead}"
    elif result.outcome == ARTIST:
        yield f"{name} is the name of an artist; give a title, or one of these track ids"
    elif result.is_equal:
        yield f"several songs are called {name}; give 'artist - title', or one of these track ids"
    else:
        yield f"no song is called {name}, but several similarly; give one of these track ids"
    for number, song in enumerate(result.others):
        versions = result.versions[number] if result.versions else 1
        yield _line(song) + (f", {versions} versions" if versions > 1 else "")


def _line(song: Named) -> str:
    """Return track id, name, release and year of a song."""
    details = ", ".join(one_line(str(part)) for part in (song.release, song.year) if part)
    return f"  {song.track_id}  {one_line(display_name(song.artist, song.title))}" + (
        f"  ({details})" if details else ""
    )
