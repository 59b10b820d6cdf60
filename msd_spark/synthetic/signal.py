"""The planted signal: the sound of a genre, an artist and a song.

A song's sound has two parts, in units of the standard deviations of the real catalogue:

*Level*, which a summary of the song keeps. Mean timbre, standard deviation of timbre, mean chroma and the correlations
of the timbre coefficients are ``sqrt(g) genre + sqrt(a) artist + sqrt(1 - g - a) song``, each term standard normal.
``g`` is small, so that a summary predicts the genre only sometimes; ``a`` is larger, so that a split that leaks
artists scores visibly better.

*Motion*, which a summary without temporal order loses. Every song moves around a circle of states, each a timbre and a
chord. All genres have the same states in different orders, like chord progressions: mean and covariance do not depend
on the genre, the order of neighbouring segments does. A song starts anywhere on the circle and stays in a state for
one or a few segments.

Some songs sound like another genre than their own, some have words of another genre, and some labels are wrong. No
model of sound or words recovers these, so that no metric comes near 1 in a catalogue of any size.

Noise is a moving average with the correlation of neighbouring segments of the real catalogue. Genres sound the same
in every catalogue; artists and songs depend on the seed.

References
----------
.. [1] Means and standard deviations: 2,564 files of the real catalogue.
.. [2] Correlations of timbre coefficients and their spread over songs: 1,680 files of the real catalogue.
.. [3] Genres: H. Schreiber, "Improving genre annotations for the Million Song Dataset", ISMIR 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from msd_spark.core.song_layout import N_PITCHES
from msd_spark.synthetic.draws import Floats, Stream, generator

Floats32 = NDArray[np.float32]

GENRES = (
    "Pop_Rock", "Electronic", "Rap", "Jazz", "Country", "RnB", "Latin", "Reggae",
    "International", "Blues", "Folk", "New Age", "Vocal",
)  # fmt: skip
"""The genres of CD1."""

GENRE_PRIOR = np.array([44, 13, 7, 8, 5.5, 4.5, 3, 4, 2, 3.5, 3, 1.5, 1]) / 100
"""Shares of the genres: 60 % of CD1 is Pop_Rock, .2 % Vocal; levelled so that a thousand songs have some of each."""

_WORLD = 2011
"""Seed of the genres, which sound the same in all catalogues."""

TIMBRE_MEAN = np.array([43.7, 8.2, 7.1, -0.4, -5.5, -6.4, -4.9, -1.8, 3.9, 2.6, -1.1, 2.6])
TIMBRE_SPREAD_OF_SONGS = np.array([6.3, 43.5, 32, 13, 22, 14, 13, 8, 10, 7, 4.5, 8])
TIMBRE_SPREAD_IN_SONG = np.array([5.6, 46, 42, 40, 30, 30, 25, 23, 20, 19, 18, 17])
TIMBRE_NEIGHBOURS = np.array([0.75, 0.46, 0.5, 0.0, 0.45, 0.13, 0.4, 0.0, 0.39, 0.05, -0.07, 0.39])
"""Correlation of the noise of neighbouring segments, per coefficient."""

TIMBRE_LIMIT = 490.0
_CEILING, _CROWDING = 58.5, 4.0  # of the first coefficient
SILENCE = np.array([0.0, 171, 9, -28, 57, -50, 15, 5, -27, 1, -12, -7])
"""Timbre of the silence at the start of many songs."""

N_LEVELS = 3 * N_PITCHES + N_PITCHES * (N_PITCHES - 1) // 2
"""Levels of a song: mean timbre, spread of timbre, mean log chroma, correlations of timbre coefficients."""

N_SCENES = 4
"""Scenes of artists within each genre."""

_PAIRS = np.triu_indices(N_PITCHES, 1)
_CHROMA_SPREAD = 0.77  # of log energies; reproduces the real mean (0.36) and order statistics of a chroma vector
_CHROMA_NEIGHBOURS = 0.3
_NOISE_TAPS = 8  # weights of the moving average; further ones add less than 1 % of the variance


@dataclass(frozen=True)
class SignalParameters:
    """Strength and noise of the planted signal."""

    # Shares of genre and artist (g, a) in the variance of levels between songs.
    genre_share: float = 0.13
    artist_share: float = 0.35
    spread_range: float = 0.25  # standard deviation, over songs, of the logarithm of a song's timbre spread
    correlation_range: float = 0.16  # standard deviation, over songs, of the correlation of two timbre coefficients
    chroma_level_share: float = 0.25  # of the variance of log chroma, the share that lies between songs
    # Shares of motion in the variance within a song.
    motion_timbre_share: float = 0.10
    motion_chroma_share: float = 0.40
    states: int = 8  # on the circle
    advance: float = 0.75  # probability of moving to the next state at each segment
    artist_loyalty: float = 0.9  # share of an artist's songs in the artist's main genre
    label_noise: float = 0.08  # share of CD1 labels that differ from the planted genre
    # Shares of songs whose sound, and independently whose words, are those of another genre.
    sound_crossover: float = 0.12
    word_crossover: float = 0.30
    # Shares of a song's words drawn from the favourites of the genre, the artist and the song.
    word_genre_share: float = 0.14
    word_artist_share: float = 0.10
    word_chorus_share: float = 0.50
    # Shares of a user's listens drawn from favourite genres, from favourite scenes within them, and from favourite
    # artists; the rest follows popularity. Taste matters less than in the real listens, where factors have more than
    # four times the NDCG@100 of popularity (H. Steck, "Embarrassingly shallow autoencoders", WWW 2019, table 2).
    listener_genre_share: float = 0.25
    listener_scene_share: float = 0.30
    listener_artist_share: float = 0.30


@dataclass(frozen=True)
class World:
    """The sound of the genres."""

    levels: Floats
    """Shape ``(genres, N_LEVELS)``; standard normal."""

    orders: NDArray[np.intp]
    """Shape ``(genres, states)``: each genre's order of the states."""

    states: Floats32
    """Shape ``(states, 24)``: timbre and log chroma of each state; columns have mean 0 and variance 1."""


@lru_cache(maxsize=4)
def world(states: int) -> World:
    """Draw the levels and the states of the genres.

    The order of each genre is the one of 200 random orders that shares the fewest steps with earlier genres.
    """
    random = generator(_WORLD, Stream.WORLD, states)
    levels = random.standard_normal((len(GENRES), N_LEVELS))
    levels -= levels.mean(axis=0)
    uses = np.zeros((states, states), dtype=int)  # of each step from state to state by earlier genres
    orders = np.empty((len(GENRES), states), dtype=np.intp)
    for genre in range(len(GENRES)):
        circles = [random.permutation(states) for _ in range(200)]
        orders[genre] = min(circles, key=lambda circle: int((uses[circle, np.roll(circle, -1)] ** 2).sum()))
        uses[orders[genre], np.roll(orders[genre], -1)] += 1
    vectors = random.standard_normal((states, 2 * N_PITCHES))
    vectors = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    return World(levels, orders, vectors.astype(np.float32))


@lru_cache(maxsize=65536)
def artist_levels(seed: int, artist: int) -> Floats:
    """Return an artist's part of the levels: standard normal, shape ``(N_LEVELS,)``."""
    return generator(seed, Stream.ARTIST_SOUND, artist).standard_normal(N_LEVELS)


def artist_scene(seed: int, artist: int) -> int:
    """Return the artist's scene within a genre, from brightness and flatness of the timbre."""
    levels = artist_levels(seed, artist)
    return 2 * int(levels[1] > 0) + int(levels[2] > 0)


@dataclass(frozen=True)
class SongSound:
    """Parameters from which a song's segments are drawn.

    Arrays have shape ``(12,)`` except `timbre_mixing`.
    """

    timbre_mixing: Floats
    """Shape ``(12, 12)``, columns of unit length: correlates independent coefficients without changing variances."""

    timbre_mean: Floats
    timbre_spread: Floats
    chroma_mean: Floats  # standardised log energies
    genre: int
    start: int  # position on the circle


def song_sound(seed: int, song: int, genre: int, artist: int, parameters: SignalParameters) -> SongSound:
    """Draw a song's sound; all tracks of one song have the same."""
    random = generator(seed, Stream.SONG_SOUND, song)
    own = 1 - parameters.genre_share - parameters.artist_share
    levels = (
        np.sqrt(parameters.genre_share) * world(parameters.states).levels[genre]
        + np.sqrt(parameters.artist_share) * artist_levels(seed, artist)
        + np.sqrt(own) * random.standard_normal(N_LEVELS)
    )
    mean, spread, chroma, correlations = np.split(levels, [N_PITCHES, 2 * N_PITCHES, 3 * N_PITCHES])
    half = np.zeros((N_PITCHES, N_PITCHES))
    half[_PAIRS] = parameters.correlation_range / 2 * correlations
    mixing = np.eye(N_PITCHES) + half + half.T  # to first order, the product with itself has the correlations
    return SongSound(
        timbre_mixing=mixing / np.sqrt((mixing**2).sum(axis=0)),
        timbre_mean=TIMBRE_MEAN + TIMBRE_SPREAD_OF_SONGS * mean,
        timbre_spread=TIMBRE_SPREAD_IN_SONG * np.exp(parameters.spread_range * spread),
        chroma_mean=chroma,
        genre=genre,
        start=int(random.integers(parameters.states)),
    )


_NEIGHBOURS = np.concatenate([TIMBRE_NEIGHBOURS, np.full(N_PITCHES, _CHROMA_NEIGHBOURS)])
_WEIGHTS = _NEIGHBOURS[None, :] ** np.arange(_NOISE_TAPS)[:, None]
_TAPS = (_WEIGHTS / np.sqrt((_WEIGHTS**2).sum(axis=0))).astype(np.float32)
"""Weights of the noise's moving average, ``(taps, 24)``, of unit variance."""


def segment_sounds(
    sound: SongSound, n_segments: int, parameters: SignalParameters, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw a song's timbre and pitches, shape ``(n_segments, 12)``, with three decimals.

    Timbre is within ±490; pitches are in [0, 1] with a maximum of exactly 1 per segment.
    """
    white = random.standard_normal((n_segments + _NOISE_TAPS - 1, 2 * N_PITCHES), dtype=np.float32)
    noise = _TAPS[0] * white[_NOISE_TAPS - 1 :]
    for lag in range(1, _NOISE_TAPS):
        noise += _TAPS[lag] * white[_NOISE_TAPS - 1 - lag : len(white) - lag]
    steps = np.cumsum(random.random(n_segments) < parameters.advance)
    planted = world(parameters.states)
    motion = planted.states[planted.orders[sound.genre][(sound.start + steps) % parameters.states]]

    shares = np.repeat([parameters.motion_timbre_share, parameters.motion_chroma_share], N_PITCHES)
    inner = np.sqrt(1 - shares).astype(np.float32) * noise + np.sqrt(shares).astype(np.float32) * motion

    # Some segments are outliers, as attacks and noise bursts are in the real data.
    bursts = np.where(random.random(n_segments) < 0.02, 2.5, 1.0)[:, None]
    mixed = inner[:, :N_PITCHES] @ sound.timbre_mixing.astype(np.float32)
    timbre = sound.timbre_mean + sound.timbre_spread * bursts * mixed
    np.clip(timbre, -TIMBRE_LIMIT, TIMBRE_LIMIT, out=timbre)
    # The first coefficient follows loudness, which mastering compresses below a ceiling.
    timbre[:, 0] = _CEILING - _CROWDING * np.log1p(np.exp((_CEILING - timbre[:, 0]) / _CROWDING))
    np.maximum(timbre[:, 0], 0, out=timbre[:, 0])

    level = parameters.chroma_level_share
    log_energy = np.sqrt(1 - level) * inner[:, N_PITCHES:] + (np.sqrt(level) * sound.chroma_mean).astype(np.float32)
    log_energy -= log_energy.max(axis=1, keepdims=True)
    pitches = np.exp(_CHROMA_SPREAD * log_energy).astype(np.float64)
    return np.round(timbre, 3), np.round(pitches, 3)
