"""The catalogue's columns: artist, song, genre and sources of each track.

The first entries of every column stay the same as the catalogue grows. Artists follow Simon's process: a track
has a new artist (one in four) or the artist of a random earlier track. As in the real catalogue, a few artists
have very many tracks and half of them have one.

References
----------
.. [1] H. A. Simon, "On a class of skew distribution functions", Biometrika 42, 1955.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from msd_spark.synthetic import names
from msd_spark.synthetic.draws import Column, Floats, column
from msd_spark.synthetic.settings import SyntheticSettings
from msd_spark.synthetic.signal import GENRE_PRIOR, GENRES

Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]

_NEW_ARTIST = 0.25  # four tracks per artist
_FIRST_ARTISTS = 40  # the first tracks have one artist each, so that no artist dominates the catalogue
_DUPLICATE, _RETITLED = 0.02, 0.03
_GOLDEN = 0.6180339887498949

# Quantiles of the number of segments of 2,564 real songs, interpolated linearly.
_QUANTILES = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)
_SEGMENTS = (4, 158, 330, 590, 745.5, 960, 1430, 1958, 3303)

SHORTEST, LONGEST, SILENT = 11, 17, 23
"""Tracks with rare properties in every catalogue: four segments and no beats; the most segments; segments only,
with tempo and time signature 0."""

CD1_SHARE, MINORITY_SHARE, CD2_SHARE, CONSENSUS_SHARE, MAGD_SHARE = 0.85, 0.27, 0.75, 0.65, 0.7
HEARD_SHARE, MISMATCH_SHARE = 0.7, 0.015

LYRICS_ODDS = np.array([1.5, 0.4, 2.5, 0.2, 2, 1.5, 1, 1, 0.5, 0.7, 1, 0.05, 1])
"""Ratio by which each genre changes the odds that a track has lyrics."""


def segment_counts(uniform: Floats) -> Integers:
    """Map uniform numbers to numbers of segments, with the quantiles of the real catalogue."""
    return np.rint(np.interp(uniform, _QUANTILES, _SEGMENTS)).astype(np.intp)


def follow(pointers: Integers) -> Integers:
    """Follow pointers to earlier entries up to one that points at itself."""
    while True:
        further = pointers[pointers]
        if np.array_equal(further, pointers):
            return pointers
        pointers = further


def draw_genres(uniform: Floats) -> Integers:
    """Map uniform numbers to indices of genres, distributed by `GENRE_PRIOR`."""
    return np.minimum(np.searchsorted(np.cumsum(GENRE_PRIOR), uniform, side="right"), len(GENRES) - 1)


@dataclass(frozen=True)
class Catalogue:
    """All tracks, as columns of shape ``(songs,)``."""

    settings: SyntheticSettings
    artist: Integers
    song: Integers
    """The first track of the same song; it differs from the track itself only for duplicates, which share its id."""

    titled: Integers
    """The first track of the same artist and title, including other recordings with their own song id."""

    genre: Integers  # planted; index into GENRES
    segments: Integers

    def __len__(self) -> int:
        return self.settings.songs

    def uniform(self, name: Column) -> Floats:
        """Return a column of uniform numbers, shape ``(songs,)``."""
        return column(self.settings.seed, name, len(self))

    def flag(self, name: Column, share: float) -> Flags:
        """Return a column that is true for a share of the tracks, shape ``(songs,)``."""
        return self.uniform(name) < share

    @cached_property
    def track_ids(self) -> Sequence[str]:
        """Track ids, in the order of the catalogue."""
        return [names.track_id(self.settings.seed, track) for track in range(len(self))]

    def other_genres(self, name: Column) -> Integers:
        """Draw a genre per track that differs from the track's own."""
        others = draw_genres(self.uniform(name))
        return np.where(others == self.genre, (others + 1) % len(GENRES), others)

    def crossed(self, is_other: Column, other: Column, share: float) -> Integers:
        """Return each track's genre, replaced for a share of the songs by another genre."""
        return np.where(self.flag(is_other, share), self.other_genres(other), self.genre)[self.song]

    @cached_property
    def sound(self) -> Integers:
        """The genre that the track sounds like; the same for all tracks of one song."""
        return self.crossed(Column.SOUND_IS_OTHER, Column.SOUND, self.settings.signal.sound_crossover)

    @cached_property
    def words(self) -> Integers:
        """The genre that the track's words are from; the same for all tracks of one song."""
        return self.crossed(Column.WORDS_ARE_OTHER, Column.WORDS, self.settings.signal.word_crossover)

    @cached_property
    def has_lyrics(self) -> Flags:
        """Whether musiXmatch has the track; songs of some genres have words less often."""
        odds = LYRICS_ODDS[self.genre] * self.settings.lyrics_share
        return self.uniform(Column.HAS_LYRICS) < odds / np.maximum(odds + 1 - self.settings.lyrics_share, 1e-9)

    @cached_property
    def is_heard(self) -> Flags:
        """Whether the track's song has listeners; the same for all tracks of one song."""
        return self.flag(Column.IS_HEARD, HEARD_SHARE)[self.song]

    @cached_property
    def in_cd1(self) -> Flags:
        """Whether CD1 labels the track."""
        return self.flag(Column.IN_CD1, CD1_SHARE)

    def track_id(self, track: int) -> str:
        """Return a track's id."""
        return names.track_id(self.settings.seed, track)

    def song_id(self, track: int) -> str:
        """Return the id of a track's song."""
        return names.song_id(self.settings.seed, int(self.song[track]))

    def artist_name(self, track: int) -> str:
        """Return the name of a track's artist."""
        return names.artist_name(self.settings.seed, int(self.artist[track]))

    def title(self, track: int) -> str:
        """Return a track's title."""
        return names.title(self.settings.seed, int(self.titled[track]))


def artist_genres(seed: int, first: int, end: int) -> Integers:
    """Return the main genres of the artists from `first` up to, but excluding, `end`.

    Steps of the golden ratio yield every genre's share in any range of artists; independent draws would leave
    small catalogues without the rare genres.
    """
    start = column(seed, Column.GENRE, 1)[0]
    return draw_genres((start + np.arange(first, end) * _GOLDEN) % 1)


def make_catalogue(settings: SyntheticSettings) -> Catalogue:
    """Draw the catalogue's columns; each takes about 0.1 s and 50 MB per million tracks."""
    size, seed = settings.songs, settings.seed
    tracks = np.arange(size)
    is_new = column(seed, Column.NEW_ARTIST, size) < _NEW_ARTIST
    is_new[:_FIRST_ARTISTS] = True
    earlier = (column(seed, Column.PARENT, size) * tracks).astype(np.intp)
    first = follow(np.where(is_new, tracks, earlier))
    artist = (np.cumsum(is_new) - 1)[first]

    repeat = column(seed, Column.DUPLICATE, size)
    song = follow(np.where(~is_new & (repeat < _DUPLICATE), earlier, tracks))
    titled = follow(np.where(~is_new & (repeat < _RETITLED), earlier, tracks))

    is_own = column(seed, Column.GENRE_IS_OWN, size) < settings.signal.artist_loyalty
    other = draw_genres(column(seed, Column.GENRE, size))
    genre = np.where(is_own, artist_genres(seed, 0, int(artist.max()) + 1)[artist], other)[song]

    segments = segment_counts(column(seed, Column.SEGMENTS, size))
    segments[SHORTEST : SHORTEST + 1], segments[LONGEST : LONGEST + 1] = min(_SEGMENTS), max(_SEGMENTS)
    return Catalogue(settings, artist, song, titled, genre, segments)
