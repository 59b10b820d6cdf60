"""Playlists: songs near a song, not all alike, no artist twice in a row; and their form as an M3U file.

The next song is the candidate with the greatest marginal relevance [1]_: ``balance`` times its nearness to the
song that was asked for, less ``1 - balance`` times its nearness to the most similar song already chosen.

References
----------
.. [1] J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking for reordering documents and
   producing summaries", SIGIR 1998.
.. [2] M3U with extended directives: ``#EXTM3U``, then ``#EXTINF:seconds,artist - title`` before each location.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from msd_spark.neighbours.space import unit

BALANCE = 0.7
"""1 for the nearest songs alone, 0 for songs that are unlike each other."""

UNKNOWN_SECONDS = -1


@dataclass(frozen=True)
class Entry:
    """A song of a playlist.

    Attributes
    ----------
    artist, title : str
    location : str
        Its file, or its track id where that is not known.
    seconds : float, optional
    """

    artist: str
    title: str
    location: str
    seconds: float | None = None


def choose_songs(
    query: np.ndarray,
    vectors: np.ndarray,
    artists: Sequence[Hashable],
    length: int,
    *,
    previous_artist: Hashable = None,
    songs: Sequence[Collection[Hashable]] = (),
    balance: float = BALANCE,
) -> list[int]:
    """Return the rows of a playlist's songs in order.

    Parameters
    ----------
    query : numpy.ndarray
        Shape ``(size,)``: the song that was asked for.
    vectors : numpy.ndarray
        Shape ``(n, size)``: the candidates.
    artists : sequence
        Of each candidate; None, if it is not known, follows anybody.
    length : int
        Songs at most; fewer where only songs of the last artist are left.
    previous_artist : hashable, optional
        Who comes before the first song.
    songs : sequence of collections, optional
        What makes candidates the same song (its id, its name): of those that share one of these, one is taken.
    balance : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        When the balance is not.
    """
    if not 0 <= balance <= 1:
        raise ValueError(f"the balance is between 0 and 1, not {balance}")
    candidates = unit(vectors)
    relevance = candidates @ unit(np.asarray(query))
    likeness = np.full(len(candidates), -np.inf)
    free = np.ones(len(candidates), bool)
    chosen: list[int] = []
    last = previous_artist
    while len(chosen) < length:
        follows = np.array([artist is None or artist != last for artist in artists], bool) if len(free) else free
        possible = np.flatnonzero(free & follows)
        if not len(possible):
            break
        redundancy = likeness if chosen else np.zeros(len(candidates))
        gain = balance * relevance[possible] - (1 - balance) * redundancy[possible]
        row = int(possible[np.argmax(gain)])
        chosen.append(row)
        free[row] = False
        if songs:
            mine = set(songs[row])
            free &= np.array([mine.isdisjoint(keys) for keys in songs], bool)
        last = artists[row]
        likeness = np.maximum(likeness, candidates @ candidates[row])
    return chosen


def one_line(text: str) -> str:
    """Return text without what could end a line or change how it is shown: control and format characters, breaks.

    Examples
    --------
    >>> one_line("One" + chr(10) + "Two" + chr(7) + "  Three")
    'One Two Three'
    """
    kept = (" " if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") else mark for mark in text)
    return " ".join("".join(kept).split())


def m3u(entries: Iterable[Entry]) -> str:
    """Return an extended M3U playlist, one ``#EXTINF`` and one location a song, each on a line of its own.

    A location that could be read as a directive gets ``./`` before it.
    """
    lines = ["#EXTM3U"]
    for entry in entries:
        seconds = UNKNOWN_SECONDS if entry.seconds is None else round(entry.seconds)
        location = one_line(entry.location) or "?"
        lines.append(f"#EXTINF:{seconds},{one_line(entry.artist)} - {one_line(entry.title)}")
        lines.append(f"./{location}" if location.startswith("#") else location)
    return "\n".join(lines) + "\n"
