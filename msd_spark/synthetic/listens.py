"""The Taste Profile triplets: listener, song and play count.

A listener draws songs from favourite genres, from favourite scenes within them, from favourite artists and from all
songs, always by popularity. A scene is a group of artists of one genre with a similar timbre.

References
----------
.. [1] The Echo Nest Taste Profile subset, http://millionsongdataset.com/tasteprofile
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from msd_spark.synthetic import names
from msd_spark.synthetic.catalogue import Catalogue, Integers
from msd_spark.synthetic.draws import Column, Floats, Stream, generator
from msd_spark.synthetic.signal import GENRE_PRIOR, GENRES, N_SCENES, artist_scene
from msd_spark.synthetic.text_files import write_lines

TRIPLETS = "tasteprofile/train_triplets.txt"
_BLOCK = 2048  # users per draw, which bounds memory
_MEDIAN_SONGS, _SONGS_SPREAD, _MOST_SONGS = 14, 0.8, 400
_USER_GENRES, _USER_ARTISTS = 2, 3
_MOST_PLAYS = 800


class _Charts:
    """Songs to draw by popularity within a group, for example a genre."""

    def __init__(self, songs: Integers, popularity: Floats, group: Integers, n_groups: int) -> None:
        order = np.argsort(group, kind="stable")
        self.songs, self.cumulative = songs[order], np.cumsum(popularity[order])
        bounds = np.searchsorted(group[order], np.arange(n_groups + 1))
        edges = np.concatenate([[0.0], self.cumulative])
        self.start, self.end = edges[bounds[:-1]], edges[bounds[1:]]  # cumulative popularity around each group

    def draw(self, groups: Integers, uniform: Floats) -> Integers:
        """Draw one song per entry of `groups`."""
        target = self.start[groups] + uniform * (self.end[groups] - self.start[groups])
        places = np.searchsorted(self.cumulative, target, side="right")
        return self.songs[np.minimum(places, len(self.songs) - 1)]


class Taste:
    """Draw the songs that users listen to, from at least one song."""

    def __init__(self, catalogue: Catalogue, songs: Integers) -> None:
        popularity = (1 - catalogue.uniform(Column.POPULARITY)[songs]) ** -0.7  # Pareto: few hits, long tail
        self.signal = catalogue.settings.signal
        self.genre_of, artists = catalogue.genre[songs], catalogue.artist[songs]
        known, self.artist_of = np.unique(artists, return_inverse=True)
        self.by_genre = _Charts(songs, popularity, self.genre_of, len(GENRES))
        self.by_artist = _Charts(songs, popularity, self.artist_of, int(self.artist_of.max()) + 1)
        self.all = _Charts(songs, popularity, np.zeros(len(songs), dtype=np.intp), 1)
        scene_of_artist = np.array([artist_scene(catalogue.settings.seed, int(artist)) for artist in known])
        self.scene_of = np.full(len(catalogue), -1, dtype=np.intp)
        self.scene_of[songs] = self.genre_of * N_SCENES + scene_of_artist[self.artist_of]
        self.by_scene = _Charts(songs, popularity, self.scene_of[songs], len(GENRES) * N_SCENES)
        # A genre without songs cannot be a favourite.
        share = GENRE_PRIOR * (np.bincount(self.genre_of, minlength=len(GENRES)) > 0)
        self.genre_cumulative = np.cumsum(share / share.sum())
        # Favourite scenes are drawn through songs of the favourite genres, favourite artists through the first scene's.
        self.artist_of_song = np.full(len(catalogue), -1, dtype=np.intp)
        self.artist_of_song[songs] = self.artist_of

    def draw(self, users: int, random: np.random.Generator) -> tuple[Integers, Integers, Integers]:
        """Draw the listens of a block of users: user, ascending, song and plays, each pair once."""
        uniform = random.random((users, _USER_GENRES))
        genres = np.minimum(np.searchsorted(self.genre_cumulative, uniform, side="right"), len(GENRES) - 1)
        scenes = self.scene_of[self.by_genre.draw(genres, random.random(genres.shape))]
        liked = np.repeat(scenes[:, :1], _USER_ARTISTS, axis=1)
        artists = self.artist_of_song[self.by_scene.draw(liked, random.random(liked.shape))]

        counts = np.exp(np.log(_MEDIAN_SONGS) + _SONGS_SPREAD * random.standard_normal(users))
        user = np.repeat(np.arange(users), np.clip(counts, 1, _MOST_SONGS).astype(np.intp))
        kind, chance = random.random(len(user)), random.random(len(user))
        favourite = random.integers(_USER_GENRES, size=len(user))
        artist = artists[user, random.integers(_USER_ARTISTS, size=len(user))]
        song = self.all.draw(np.zeros(len(user), dtype=np.intp), chance)
        by_genre = self.signal.listener_genre_share
        by_scene = by_genre + self.signal.listener_scene_share
        by_artist = by_scene + self.signal.listener_artist_share
        song = np.where(kind < by_artist, self.by_artist.draw(artist, chance), song)
        song = np.where(kind < by_scene, self.by_scene.draw(scenes[user, favourite], chance), song)
        song = np.where(kind < by_genre, self.by_genre.draw(genres[user, favourite], chance), song)

        pairs = np.unique(user * (int(song.max()) + 1) + song)
        user, song = np.divmod(pairs, int(song.max()) + 1)
        plays = np.minimum((1 - random.random(len(pairs))) ** -0.9, _MOST_PLAYS).astype(np.intp)
        return user, song, plays


def heard_songs(catalogue: Catalogue) -> Integers:
    """Return the songs with listeners, ascending."""
    return np.flatnonzero(catalogue.is_heard & (catalogue.song == np.arange(len(catalogue))))


def draw_listens(catalogue: Catalogue, songs: Integers) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Yield users (ascending), songs and plays, one block of users at a time."""
    if not len(songs):
        return
    taste = Taste(catalogue, songs)
    n_users = catalogue.settings.user_count
    for first in range(0, n_users, _BLOCK):
        random = generator(catalogue.settings.seed, Stream.USERS, first // _BLOCK)
        user, song, plays = taste.draw(min(_BLOCK, n_users - first), random)
        yield user + first, song, plays


def write_listens(catalogue: Catalogue, output: Path) -> dict[str, int]:
    """Write ``user<TAB>song<TAB>count`` sorted by user; return counts."""
    settings = catalogue.settings
    songs = heard_songs(catalogue)
    song_ids = {song: catalogue.song_id(song) for song in songs.tolist()}
    user_ids = sorted(names.user_id(settings.seed, user) for user in range(settings.user_count))
    lines = (
        f"{user_ids[user]}\t{song_ids[song]}\t{plays}"
        for listens in draw_listens(catalogue, songs)
        for user, song, plays in zip(*(part.tolist() for part in listens), strict=True)
    )
    return {"triplets": write_lines(output / TRIPLETS, lines), "songs heard": len(songs)}
