"""The planted signal: learnable from order and level, noisy, and leaking through the artist."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import lil_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from msd_spark.synthetic.catalogue import Catalogue, make_catalogue
from msd_spark.synthetic.draws import Stream, generator
from msd_spark.synthetic.labels import noisy_genres
from msd_spark.synthetic.lyrics import bag_of_words
from msd_spark.synthetic.settings import SyntheticSettings
from msd_spark.synthetic.signal import GENRE_PRIOR, GENRES, SignalParameters, segment_sounds, song_sound, world
from msd_spark.synthetic.vocabulary import VOCABULARY_SIZE

Floats = NDArray[np.float64]
SONGS, SEGMENTS = 1200, 120


def segments(catalogue: Catalogue, track: int) -> tuple[Floats, Floats]:
    """Draw the first segments of a track: timbre and pitches."""
    seed, signal = catalogue.settings.seed, catalogue.settings.signal
    sound = song_sound(
        seed, int(catalogue.song[track]), int(catalogue.genre[track]), int(catalogue.artist[track]), signal
    )
    return segment_sounds(sound, SEGMENTS, signal, generator(seed, Stream.SONG_SEGMENTS, track))


def levels(timbre: Floats, pitches: Floats) -> Floats:
    """Average a song over time, which removes the order of its segments."""
    return np.concatenate([timbre.mean(axis=0), timbre.std(axis=0), pitches.mean(axis=0)])


def accuracy(features: Floats, genre: NDArray[np.intp], artist: NDArray[np.intp], leaks: bool) -> float:
    """Cross-validate a linear model, with or without the artist's other songs in the training set."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a fold without the rarest genre
        if leaks:
            predicted = cross_val_predict(model, features, genre, cv=KFold(5, shuffle=True, random_state=0))
        else:
            predicted = cross_val_predict(model, features, genre, cv=GroupKFold(5), groups=artist)
    return float((predicted == genre).mean())


@pytest.fixture(scope="module")
def large() -> Catalogue:
    """A catalogue with enough songs to train a linear model."""
    return make_catalogue(SyntheticSettings(songs=SONGS))


@pytest.fixture(scope="module")
def sounds(large: Catalogue) -> list[tuple[Floats, Floats]]:
    """Draw the songs' segments."""
    return [segments(large, track) for track in range(SONGS)]


def test_levels_predict_the_genre_better_if_the_artist_leaks(
    large: Catalogue, sounds: list[tuple[Floats, Floats]]
) -> None:
    features, genre = np.array([levels(*sound) for sound in sounds]), noisy_genres(large)
    majority = np.bincount(genre).max() / SONGS
    honest = accuracy(features, genre, large.artist, leaks=False)
    leaking = accuracy(features, genre, large.artist, leaks=True)
    assert majority + 0.05 < honest < 0.6
    assert honest + 0.05 < leaking < 0.9


def test_order_predicts_the_genre_without_levels(large: Catalogue) -> None:
    # Without genre and artist in the levels, only products of neighbouring segments predict the genre.
    blind = replace(large.settings, signal=replace(SignalParameters(), genre_share=0.0, artist_share=0.0))
    catalogue = make_catalogue(blind)
    averages, neighbours = [], []
    for track in range(SONGS):
        timbre, pitches = segments(catalogue, track)
        averages.append(levels(timbre, pitches))
        both = np.hstack([timbre, pitches])
        both = (both - both.mean(axis=0)) / both.std(axis=0)
        step = both[:-1].T @ both[1:] / len(both)
        neighbours.append((step - step.T)[np.triu_indices(24, 1)])
    majority = np.bincount(catalogue.genre).max() / SONGS
    guess = accuracy(np.array(averages), catalogue.genre, catalogue.artist, leaks=False)
    know = accuracy(np.array(neighbours), catalogue.genre, catalogue.artist, leaks=False)
    assert guess < majority + 0.05
    assert know > majority + 0.3


def test_words_predict_the_genre_sometimes(large: Catalogue) -> None:
    genre = noisy_genres(large)
    bags = lil_matrix((SONGS, VOCABULARY_SIZE))
    for track in range(SONGS):
        places, counts = bag_of_words(large, track)
        bags[track, places] = counts
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(bags.tocsr())
    topics = TruncatedSVD(50, random_state=0).fit_transform(weighted)
    score = accuracy(topics, genre, large.artist, leaks=False)
    assert np.bincount(genre).max() / SONGS + 0.05 < score < 0.75


def test_two_tracks_of_a_song_sound_alike_and_are_not_the_same(large: Catalogue) -> None:
    track = int(np.flatnonzero(large.song != np.arange(SONGS))[0])
    (timbre, _), (other, _) = segments(large, track), segments(large, int(large.song[track]))
    assert not np.array_equal(timbre, other)
    assert np.abs(timbre.mean(axis=0) - other.mean(axis=0)).max() < 25  # other songs differ by about 100


def test_genres_differ_in_the_order_of_common_states() -> None:
    planted = world(SignalParameters().states)
    np.testing.assert_allclose(planted.states.mean(axis=0), 0, atol=1e-6)
    assert {tuple(sorted(order)) for order in planted.orders.tolist()} == {tuple(range(8))}
    steps = [set(zip(order, np.roll(order, -1), strict=True)) for order in planted.orders]
    for one in range(len(GENRES)):
        assert all(len(steps[one] & steps[two]) <= 4 for two in range(one))


def test_rare_genres_are_in_a_thousand_songs() -> None:
    catalogue = make_catalogue(SyntheticSettings(songs=1000))
    counts = np.bincount(catalogue.genre, minlength=len(GENRES))
    assert (counts >= 10).sum() >= 11
    assert counts.argmax() == GENRES.index("Pop_Rock")
    assert GENRE_PRIOR.sum() == pytest.approx(1)


def test_most_songs_of_an_artist_have_one_genre(large: Catalogue) -> None:
    artists, counts = np.unique(large.artist, return_counts=True)
    busy = artists[counts >= 8]
    own = [np.bincount(large.genre[large.artist == artist]).max() / (large.artist == artist).sum() for artist in busy]
    assert len(busy) > 10
    assert 0.75 < np.mean(own) < 1
