"""Choose the songs of a playlist, and write it as an M3U file.

The next song is the candidate with the greatest marginal relevance [1]_: ``balance`` times its similarity to the
first song, minus ``1 - balance`` times its similarity to the most similar song already chosen.

References
----------
.. [1] J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking for reordering documents and
   producing summaries", SIGIR 1998.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from msd_spark.neighbours.space import unit

UNKNOWN_SECONDS = -1


def choose_songs(
    query: np.ndarray,
    vectors: np.ndarray,
    artists: Sequence[Hashable],
    length: int,
    *,
    balance: float,
    previous_artist: Hashable = None,
    songs: Sequence[Collection[Hashable]] = (),
) -> list[int]:
    """Return the rows of a playlist's songs in order; no artist comes twice in a row.

    `query` is the vector of the first song, by `previous_artist`; the candidates have `vectors` ``(n, size)`` and
    `artists`; an unknown artist (None) may follow any other. There are fewer than `length` songs if only songs of the
    last artist remain. `balance` is 0 to 1. `songs` has keys of each candidate, such as its song id and name:
    candidates with a common key are the same song, and only one of them is chosen.
    """
    candidates = unit(vectors)
    relevance = candidates @ unit(np.asarray(query))
    redundancy = np.zeros(len(candidates))
    free = np.ones(len(candidates), bool)
    chosen: list[int] = []
    last = previous_artist
    while len(chosen) < length:
        possible = [row for row in np.flatnonzero(free) if artists[row] is None or artists[row] != last]
        if not possible:
            break
        gain = balance * relevance[possible] - (1 - balance) * redundancy[possible]
        row = int(possible[np.argmax(gain)])
        free[row] = False
        if songs:
            free &= np.array([set(songs[row]).isdisjoint(keys) for keys in songs], bool)
        last = artists[row]
        similarity = candidates @ candidates[row]
        redundancy = np.maximum(redundancy, similarity) if chosen else similarity
        chosen.append(row)
    return chosen


def one_line(text: str) -> str:
    """Return text without control characters, format characters and line breaks.

    Examples
    --------
    >>> one_line("One" + chr(10) + "Two" + chr(7) + "  Three")
    'One Two Three'
    """
    marks = (" " if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") else mark for mark in text)
    return " ".join("".join(marks).split())


def m3u(songs: Iterable[Mapping[str, Any]], location: str) -> str:
    """Return an extended M3U playlist.

    It has the lines ``#EXTINF:seconds,artist - title`` and location per song. `songs` have ``artist``, ``title``,
    ``track_id`` and ``seconds``, None if unknown. `location` is the pattern of the locations; one that could be read as
    a directive gets the prefix ``./``.
    """
    lines = ["#EXTM3U"]
    for song in songs:
        seconds = UNKNOWN_SECONDS if song["seconds"] is None else round(song["seconds"])
        place = one_line(location.replace("{track_id}", song["track_id"])) or "?"
        lines.append(f"#EXTINF:{seconds},{one_line(song['artist'] or '?')} - {one_line(song['title'] or '?')}")
        lines.append(f"./{place}" if place.startswith("#") else place)
    return "\n".join(lines) + "\n"
