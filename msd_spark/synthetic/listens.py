"""The Taste Profile's triplets: who listened to which song, how often.

A user has favourite genres and favourite artists, and for the rest follows the charts.

References
----------
.. [1] The Echo Nest Taste Profile subset, http://millionsongdataset.com/tasteprofile
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import Catalogue, Integers
from msd_spark.synthetic.draws import Column, Floats, Stream, generator
from msd_spark.synthetic.signal import GENRE_PRIOR, GENRES

TRIPLETS = "tasteprofile/train_triplets.txt"
_BLOCK = 2048  # users at a time: bounds memory, whatever their number
_MEDIAN_SONGS, _SONGS_SPREAD, _MOST_SONGS = 14, 0.8, 400
_GENRES_A_USER, _ARTISTS_A_USER = 2, 3
_MOST_PLAYS = 800


@dataclass(frozen=True)
class _Charts:
    """Songs to draw from, by popularity: all, and sorted by a group (genre or artist).

    Attributes
    ----------
    songs : numpy.ndarray of int, (heard,)
        Numbers of songs, those of one group beside each other.
    cumulative : numpy.ndarray of float64, (heard,)
        Cumulative popularity in that order.
    start, end : numpy.ndarray of float64, (groups,)
        Cumulative popularity before and after each group.
    """

    songs: Integers
    cumulative: Floats
    start: Floats
    end: Floats

    def draw(self, groups: Integers, uniform: Floats) -> Integers:
        """Draw a song of each group, by popularity."""
        target = self.start[groups] + uniform * (self.end[groups] - self.start[groups])
        places = np.searchsorted(self.cumulative, target, side="right")
        songs: Integers = self.songs[np.minimum(places, len(self.songs) - 1)]
        return songs


def _charts(songs: Integers, popularity: Floats, group: Integers, n_groups: int) -> _Charts:
    order = np.argsort(group, kind="stable")
    cumulative = np.cumsum(popularity[order])
    bounds = np.searchsorted(group[order], np.arange(n_groups + 1))
    edges = np.concatenate([[0.0], cumulative])
    return _Charts(songs[order], cumulative, edges[bounds[:-1]], edges[bounds[1:]])


class Taste:
    """Draws what users listen to.

    Parameters
    ----------
    catalogue : Catalogue
        Knows the songs' genres and artists, and how strong tastes are.
    songs : numpy.ndarray of int, (heard,)
        Numbers of the songs that anyone listens to; at least one.
    """

    def __init__(self, catalogue: Catalogue, songs: Integers) -> None:
        popularity = (1 - catalogue.uniform(Column.POPULARITY)[songs]) ** -0.7  # Pareto: a few hits, a long tail
        self.signal = catalogue.settings.signal
        self.genre_of, artists = catalogue.genre[songs], catalogue.artist[songs]
        _, self.artist_of = np.unique(artists, return_inverse=True)
        self.by_genre = _charts(songs, popularity, self.genre_of, len(GENRES))
        self.by_artist = _charts(songs, popularity, self.artist_of, int(self.artist_of.max()) + 1)
        self.all = _charts(songs, popularity, np.zeros(len(songs), dtype=np.intp), 1)
        # Genres that nobody plays cannot be anyone's favourite.
        share = GENRE_PRIOR * (np.bincount(self.genre_of, minlength=len(GENRES)) > 0)
        self.genre_cumulative = np.cumsum(share / share.sum())
        # Favourite artists are found by way of a favourite genre: the artists of the genre's songs.
        self.artist_of_song = np.full(len(catalogue), -1, dtype=np.intp)
        self.artist_of_song[songs] = self.artist_of

    def draw(self, users: int, random: np.random.Generator) -> tuple[Integers, Integers, Integers]:
        """Draw the listens of a block of users.

        Returns
        -------
        user, song, plays : numpy.ndarray of int, (listens,)
            Number of the user in the block, rising; number of the song, none twice; plays, from 1.
        """
        uniform = random.random((users, _GENRES_A_USER))
        genres = np.minimum(np.searchsorted(self.genre_cumulative, uniform, side="right"), len(GENRES) - 1)
        liked = np.repeat(genres[:, :1], _ARTISTS_A_USER, axis=1)
        artists = self.artist_of_song[self.by_genre.draw(liked, random.random(liked.shape))]

        counts = np.exp(np.log(_MEDIAN_SONGS) + _SONGS_SPREAD * random.standard_normal(users))
        user = np.repeat(np.arange(users), np.clip(counts, 1, _MOST_SONGS).astype(np.intp))
        kind, chance = random.random(len(user)), random.random(len(user))
        genre = genres[user, random.integers(_GENRES_A_USER, size=len(user))]
        artist = artists[user, random.integers(_ARTISTS_A_USER, size=len(user))]
        song = self.all.draw(np.zeros(len(user), dtype=np.intp), chance)
        by_genre, by_artist = self.signal.listener_genre_share, self.signal.listener_artist_share
        song = np.where(kind < by_genre + by_artist, self.by_artist.draw(artist, chance), song)
        song = np.where(kind < by_genre, self.by_genre.draw(genre, chance), song)

        pairs = np.unique(user * (int(song.max()) + 1) + song)
        user, song = np.divmod(pairs, int(song.max()) + 1)
        plays = np.minimum((1 - random.random(len(pairs))) ** -0.9, _MOST_PLAYS).astype(np.intp)
        return user, song, plays


def heard_songs(catalogue: Catalogue) -> Integers:
    """Return the numbers of the songs that anyone may listen to, rising."""
    songs: Integers = np.flatnonzero(catalogue.is_heard & (catalogue.song == np.arange(len(catalogue))))
    return songs


def draw_listens(catalogue: Catalogue, songs: Integers) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Draw the listens of all users, a block of users at a time, without writing anything.

    Parameters
    ----------
    catalogue : Catalogue
    songs : numpy.ndarray of int, (heard,)
        As `heard_songs` gives them; at least one.

    Yields
    ------
    user, song, plays : numpy.ndarray of int, (listens,)
        Number of the user, rising; number of the song; plays, from 1.
    """
    taste = Taste(catalogue, songs)
    n_users = catalogue.settings.user_count
    for first in range(0, n_users, _BLOCK):
        random = generator(catalogue.settings.seed, Stream.USERS, first // _BLOCK)
        user, song, plays = taste.draw(min(_BLOCK, n_users - first), random)
        yield user + first, song, plays


def write_listens(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write ``user<TAB>song<TAB>count``, sorted by user.

    Returns
    -------
    dict of str to int
        Lines, and the songs that anyone may listen to.
    """
    settings = catalogue.settings
    path = output / TRIPLETS
    path.parent.mkdir(parents=True, exist_ok=True)
    songs = heard_songs(catalogue)
    song_ids = {song: catalogue.song_id(song) for song in songs.tolist()}
    user_ids = sorted(names.user_id(settings.seed, user) for user in range(settings.user_count))
    lines = 0
    with path.open("w", encoding="ascii", newline="\n") as file:
        if not len(songs):
            return {"triplets": 0, "songs heard": 0}
        for listens in draw_listens(catalogue, songs):
            file.writelines(
                f"{user_ids[user]}\t{song_ids[song]}\t{plays}\n"
                for user, song, plays in zip(*(part.tolist() for part in listens), strict=True)
            )
            lines += len(listens[0])
    return {"triplets": lines, "songs heard": len(songs)}
