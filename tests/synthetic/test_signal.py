"""The planted signal: learnable from words, sound and order, noisy, and leaking through the artist."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.genre_signal import AUDIO, BOTH, LEAKING, LYRICS, ORDER, scores
from msd_spark.synthetic.catalogue import Catalogue, make_catalogue
from msd_spark.synthetic.draws import Stream, generator
from msd_spark.synthetic.listens import draw_listens, heard_songs
from msd_spark.synthetic.settings import SyntheticSettings
from msd_spark.synthetic.signal import (
    GENRE_PRIOR,
    GENRES,
    SignalParameters,
    artist_scene,
    segment_sounds,
    song_sound,
    world,
)

Floats = NDArray[np.float64]
SONGS, SEGMENTS = 1200, 120


def segments(catalogue: Catalogue, track: int) -> tuple[Floats, Floats]:
    """Draw the first segments of a track: timbre and pitches."""
    seed, signal = catalogue.settings.seed, catalogue.settings.signal
    sound = song_sound(
        seed, int(catalogue.song[track]), int(catalogue.sound[track]), int(catalogue.artist[track]), signal
    )
    return segment_sounds(sound, SEGMENTS, signal, generator(seed, Stream.SONG_SEGMENTS, track))


def levels(timbre: Floats, pitches: Floats) -> Floats:
    """Average a song over time, which removes the order of its segments."""
    return np.concatenate([timbre.mean(axis=0), timbre.std(axis=0), pitches.mean(axis=0)])


def accuracy(features: Floats, genre: NDArray[np.intp], artist: NDArray[np.intp]) -> float:
    """Cross-validate a linear model by artist."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a fold without the rarest genre
        predicted = cross_val_predict(model, features, genre, cv=GroupKFold(5), groups=artist)
    return float((predicted == genre).mean())


@pytest.fixture(scope="module")
def large() -> Catalogue:
    """A catalogue with enough songs to train a linear model."""
    return make_catalogue(SyntheticSettings(songs=SONGS))


@pytest.fixture(scope="module")
def measured(large: Catalogue) -> dict[str, float]:
    """Macro F1 of logistic regression per combination of inputs."""
    return scores(large)


def test_words_sound_and_order_each_add_to_what_a_linear_model_knows(measured: dict[str, float]) -> None:
    lyrics, audio, both, ordered = (measured[name] for name in (LYRICS, AUDIO, BOTH, ORDER))
    assert 0.2 < lyrics < audio - 0.02
    assert audio < both - 0.02
    assert both < ordered - 0.02
    assert ordered < 0.8


def test_a_split_by_track_leaks_the_artist(measured: dict[str, float]) -> None:
    assert measured[LEAKING] > measured[AUDIO] + 0.05


def test_some_songs_have_the_sound_or_the_words_of_another_genre(large: Catalogue) -> None:
    signal = large.settings.signal
    sound, words = large.sound != large.genre, large.words != large.genre
    assert sound.mean() == pytest.approx(signal.sound_crossover, abs=0.03)
    assert words.mean() == pytest.approx(signal.word_crossover, abs=0.04)
    assert (sound & words).mean() == pytest.approx(signal.sound_crossover * signal.word_crossover, abs=0.02)
    np.testing.assert_array_equal(large.sound, large.sound[large.song])
    np.testing.assert_array_equal(large.words, large.words[large.song])


def test_genres_differ_in_how_often_they_have_lyrics(large: Catalogue) -> None:
    share = {name: large.has_lyrics[large.genre == place].mean() for place, name in enumerate(GENRES)}
    assert max(share["Jazz"], share["Electronic"]) < 0.7 < min(share["Pop_Rock"], share["Rap"])
    assert large.has_lyrics.mean() == pytest.approx(large.settings.lyrics_share, abs=0.06)
    for fixed in (0.0, 1.0):
        assert set(make_catalogue(replace(large.settings, lyrics_share=fixed)).has_lyrics) == {bool(fixed)}


def test_songs_differ_in_the_correlations_of_timbre_as_real_ones() -> None:
    signal = replace(SignalParameters(), motion_timbre_share=0.0)
    pairs = np.triu_indices(12, 1)
    correlations = []
    for song in range(150):
        sound = song_sound(7, song, song % len(GENRES), song, signal)
        np.testing.assert_allclose((sound.timbre_mixing**2).sum(axis=0), 1)
        correlations.append((sound.timbre_mixing.T @ sound.timbre_mixing)[pairs])
    assert np.std(correlations, axis=0).mean() == pytest.approx(0.16, abs=0.03)


def test_listeners_prefer_scenes_within_genres(large: Catalogue) -> None:
    scene = np.array([artist_scene(large.settings.seed, artist) for artist in large.artist.tolist()])
    user, song, _ = (np.concatenate(parts) for parts in zip(*draw_listens(large, heard_songs(large)), strict=True))
    # Pairs of consecutive rows of one user, of one genre and different artists.
    one, two = song[:-1], song[1:]
    pairs = (user[:-1] == user[1:]) & (large.genre[one] == large.genre[two]) & (large.artist[one] != large.artist[two])
    alike = (scene[one] == scene[two])[pairs].mean()
    shuffled = np.random.default_rng(0).permutation(len(one))
    strangers = (large.genre[one] == large.genre[two[shuffled]]) & (large.artist[one] != large.artist[two[shuffled]])
    assert alike > (scene[one] == scene[two[shuffled]])[strangers].mean() + 0.1


def test_order_predicts_the_genre_without_levels(large: Catalogue) -> None:
    # Without genre and artist in the levels, only products of neighbouring segments predict the genre.
    signal = replace(
        SignalParameters(), genre_share=0.0, artist_share=0.0, motion_timbre_share=0.35, motion_chroma_share=0.5
    )
    blind = replace(large.settings, signal=signal)
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
    guess = accuracy(np.array(averages), catalogue.genre, catalogue.artist)
    know = accuracy(np.array(neighbours), catalogue.genre, catalogue.artist)
    assert guess < majority + 0.05
    assert know > majority + 0.3


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
