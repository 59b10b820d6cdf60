"""The planted signal: how a genre sounds, how an artist leans, and how noisy a song is.

Pure numpy. A song's sound has two parts, both in units of the real catalogue's spreads:

*Level* (what averaging over a song keeps). Mean timbre, spread of timbre and mean chroma of a
song are ``sqrt(g) genre + sqrt(a) artist + sqrt(1 - g - a) song``, each term standard normal:
``g`` is small, so that averages give a genre away at times only, and ``a`` is large, so that
whoever has heard the artist before does visibly better. A split that leaks artists shows.

*Motion* (what averaging destroys). Every song walks around one circle of states, each a timbre and
a chord. All genres have the same states, and differ in their order alone, like chord progressions:
mean and covariance tell them nothing, a model that looks at neighbouring segments everything. A
song starts anywhere on the circle, and stays in a state for one segment or a few.

Noise is a moving average with the real catalogue's correlation of neighbouring segments.
Genres sound the same in every catalogue, whatever its seed; artists and songs do not.

References
----------
.. [1] Means and spreads: read off 2,564 files of the real catalogue.
.. [2] Genres: H. Schreiber, "Improving genre annotations for the Million Song Dataset", ISMIR 2015.
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

GENRE_PRIOR = np.array([26, 12, 10, 8, 7, 7, 6, 6, 5, 4.5, 4, 2.5, 2]) / 100
"""Shares of the genres: the real order, tempered so that a thousand songs have some of each."""

_WORLD = 2011
"""Genres sound alike in all catalogues: their seed is not the catalogue's."""

TIMBRE_MEAN = np.array([43.7, 8.2, 7.1, -0.4, -5.5, -6.4, -4.9, -1.8, 3.9, 2.6, -1.1, 2.6])
TIMBRE_SPREAD_OF_SONGS = np.array([6.3, 43.5, 32, 13, 22, 14, 13, 8, 10, 7, 4.5, 8])
TIMBRE_SPREAD_IN_SONG = np.array([5.6, 46, 42, 40, 30, 30, 25, 23, 20, 19, 18, 17])
TIMBRE_NEIGHBOURS = np.array([0.75, 0.46, 0.5, 0.0, 0.45, 0.13, 0.4, 0.0, 0.39, 0.05, -0.07, 0.39])
"""Correlation of neighbouring segments' noise, a coefficient each."""

TIMBRE_LIMIT = 490.0
_CEILING, _CROWDING = 58.5, 4.0  # of the first coefficient
SILENCE = np.array([0.0, 171, 9, -28, 57, -50, 15, 5, -27, 1, -12, -7])
"""Timbre of the silence that many songs begin with."""

_CHROMA_SPREAD = 0.77  # of log energies: gives the real mean (0.36) and order statistics of a chroma vector
_CHROMA_NEIGHBOURS = 0.3
_NOISE_TAPS = 8  # weights of the moving average; the rest of the geometric series is below 1 % of the variance


@dataclass(frozen=True)
class SignalParameters:
    """How strong the planted signal is, and how noisy.

    Attributes
    ----------
    genre_share, artist_share : float
        Of the variance between songs' levels, what the genre and the artist make up (``g``, ``a``).
    spread_range : float
        Standard deviation of the logarithm of a song's timbre spread.
    chroma_level_share : float
        Of the variance of log chroma, what differs between songs rather than within one.
    motion_timbre_share, motion_chroma_share : float
        Of the variance within a song, what the walk around the genre's circle makes up.
    states : int
        States on the circle, the same for all genres.
    advance : float
        Probability of going on to the next state at the next segment.
    artist_loyalty : float
        Share of an artist's songs in the artist's own genre.
    label_noise : float
        Share of CD1 labels that differ from the planted genre.
    word_genre_share, word_artist_share, word_chorus_share : float
        Of a song's words, what comes from the genre's, the artist's and the song's own favourites.
    listener_genre_share, listener_artist_share : float
        Of a user's listens, what comes from the favourite genres and the favourite artists; the rest follows the
        charts. Taste still says less than it does of the real listens, where factors rank more than four times as
        well as popularity (H. Steck, "Embarrassingly shallow autoencoders", WWW 2019, table 2: NDCG@100).
    """

    genre_share: float = 0.10
    artist_share: float = 0.55
    spread_range: float = 0.18
    chroma_level_share: float = 0.25
    motion_timbre_share: float = 0.35
    motion_chroma_share: float = 0.50
    states: int = 8
    advance: float = 0.75
    artist_loyalty: float = 0.9
    label_noise: float = 0.08
    word_genre_share: float = 0.08
    word_artist_share: float = 0.10
    word_chorus_share: float = 0.50
    listener_genre_share: float = 0.45
    listener_artist_share: float = 0.40


@dataclass(frozen=True)
class World:
    """What the genres of all catalogues are like.

    Attributes
    ----------
    levels : numpy.ndarray of float64, (genres, 3, 12)
        Mean timbre, spread of timbre, mean log chroma; standard normal.
    orders : numpy.ndarray of int, (genres, states)
        Each genre's way around the circle.
    states : numpy.ndarray of float32, (states, 24)
        Timbre and log chroma of a state; over the states, each column has mean 0 and variance 1.
    """

    levels: Floats
    orders: NDArray[np.intp]
    states: Floats32


@lru_cache(maxsize=4)
def world(states: int) -> World:
    """Make the genres: prototypes, and ways around a circle of so many states.

    Each genre takes, of many shuffled circles, the one that shares the fewest steps with those before it.
    """
    random = generator(_WORLD, Stream.WORLD, states)
    levels = random.standard_normal((len(GENRES), 3, N_PITCHES))
    levels -= levels.mean(axis=0)
    taken = np.zeros((states, states), dtype=int)
    orders = np.empty((len(GENRES), states), dtype=np.intp)
    for genre in range(len(GENRES)):
        circles = [random.permutation(states) for _ in range(200)]
        orders[genre] = min(circles, key=lambda circle: int((taken[circle, np.roll(circle, -1)] ** 2).sum()))
        taken[orders[genre], np.roll(orders[genre], -1)] += 1
    vectors = random.standard_normal((states, 2 * N_PITCHES))
    vectors = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    return World(levels, orders, vectors.astype(np.float32))


@lru_cache(maxsize=65536)
def artist_levels(seed: int, artist: int) -> Floats:
    """Give an artist's own lean: standard normal float64 (3, 12), as `World.levels`."""
    return generator(seed, Stream.ARTIST_SOUND, artist).standard_normal((3, N_PITCHES))


@dataclass(frozen=True)
class SongSound:
    """What a song's segments scatter around.

    Attributes
    ----------
    timbre_mean, timbre_spread : numpy.ndarray of float64, (12,)
        In the dataset's units.
    chroma_mean : numpy.ndarray of float64, (12,)
        Log energy of each pitch class, standardised.
    genre : int
        Index into `GENRES`: which way the song goes around the circle.
    start : int
        Where on the circle it starts.
    """

    timbre_mean: Floats
    timbre_spread: Floats
    chroma_mean: Floats
    genre: int
    start: int


def song_sound(seed: int, song: int, genre: int, artist: int, parameters: SignalParameters) -> SongSound:
    """Draw a song's sound from its genre's and its artist's.

    Parameters
    ----------
    seed, song : int
        Two tracks of one song have one sound.
    genre : int
        Index into `GENRES`.
    artist : int
        Number of the artist.
    parameters : SignalParameters
        Shares of genre and artist.

    Returns
    -------
    SongSound
        Levels, and the start of the walk.
    """
    random = generator(seed, Stream.SONG_SOUND, song)
    own = 1 - parameters.genre_share - parameters.artist_share
    levels = (
        np.sqrt(parameters.genre_share) * world(parameters.states).levels[genre]
        + np.sqrt(parameters.artist_share) * artist_levels(seed, artist)
        + np.sqrt(own) * random.standard_normal((3, N_PITCHES))
    )
    return SongSound(
        timbre_mean=TIMBRE_MEAN + TIMBRE_SPREAD_OF_SONGS * levels[0],
        timbre_spread=TIMBRE_SPREAD_IN_SONG * np.exp(parameters.spread_range * levels[1]),
        chroma_mean=levels[2],
        genre=genre,
        start=int(random.integers(parameters.states)),
    )


def _noise_taps() -> Floats32:
    """Weights (taps, 24) of a unit-variance moving average with the wanted correlation of neighbours."""
    neighbours = np.concatenate([TIMBRE_NEIGHBOURS, np.full(N_PITCHES, _CHROMA_NEIGHBOURS)])
    taps = neighbours[None, :] ** np.arange(_NOISE_TAPS)[:, None]
    unit: Floats32 = (taps / np.sqrt((taps**2).sum(axis=0))).astype(np.float32)
    return unit


_TAPS = _noise_taps()


def segment_sounds(
    sound: SongSound, n_segments: int, parameters: SignalParameters, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw a song's segments.

    Parameters
    ----------
    sound : SongSound
        What they scatter around.
    n_segments : int
        How many.
    parameters : SignalParameters
        Shares of motion and noise.
    random : numpy.random.Generator
        Noise and lingering come from here.

    Returns
    -------
    timbre : numpy.ndarray of float64, (n_segments, 12)
        Within ±490, three decimals.
    pitches : numpy.ndarray of float64, (n_segments, 12)
        In [0, 1] with a maximum of exactly 1 in every segment, three decimals.
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

    # A few segments (attacks, noise bursts) lie far out, as the real ones do.
    bursts = np.where(random.random(n_segments) < 0.02, 2.5, 1.0)[:, None]
    timbre = sound.timbre_mean + sound.timbre_spread * bursts * inner[:, :N_PITCHES]
    np.clip(timbre, -TIMBRE_LIMIT, TIMBRE_LIMIT, out=timbre)
    # The first coefficient goes with loudness, which mastering crowds against a ceiling.
    timbre[:, 0] = _CEILING - _CROWDING * np.log1p(np.exp((_CEILING - timbre[:, 0]) / _CROWDING))
    np.maximum(timbre[:, 0], 0, out=timbre[:, 0])

    level = parameters.chroma_level_share
    log_energy = np.sqrt(1 - level) * inner[:, N_PITCHES:] + (np.sqrt(level) * sound.chroma_mean).astype(np.float32)
    log_energy -= log_energy.max(axis=1, keepdims=True)
    pitches = np.exp(_CHROMA_SPREAD * log_energy).astype(np.float64)
    return three_decimals(timbre), three_decimals(pitches)


def three_decimals(values: Floats) -> Floats:
    """Round as the dataset does: the float64 nearest to a number of three decimals."""
    rounded: Floats = np.rint(values * 1000) / 1000
    return rounded
