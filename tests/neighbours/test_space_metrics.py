"""Figures of a space, by hand and on spaces that are known to be good or to know nothing."""

from __future__ import annotations

import numpy as np
import pytest

from msd_spark.catalogue.raw_features import SIZE, raw_features, standardise
from msd_spark.neighbours.language_question import Songs, language_question
from msd_spark.neighbours.space_metrics import agreement, clusters, probe

CODES = np.array([0, 0, 0, 1, 1, -1])


def test_agreement_by_hand() -> None:
    queries = np.array([0, 3, 5])
    neighbours = np.array([[1, 3, 5], [4, 0, -1], [0, 1, 2]])
    # Of song 0: song 1 the same, 3 another, 5 unknown. Of song 3: 4 the same, 0 another. Song 5 is unknown.
    # By chance, of four others: 2/4 for song 0, 1/4 for song 3, two pairs each: 3/8.
    found = agreement(CODES, queries, neighbours)
    assert (found.share, found.chance, found.pairs) == (0.5, 0.375, 4)
    alone = agreement(CODES, queries, neighbours, np.array([False, False, False, True, True, True]))
    assert (alone.share, alone.chance, alone.pairs) == (0.5, 0.25, 2)


def test_agreement_of_nothing_is_none() -> None:
    found = agreement(np.full(3, -1), np.arange(3), np.array([[1], [2], [0]]))
    assert (found.share, found.chance, found.pairs) == (None, None, 0)


def test_random_neighbours_agree_by_chance() -> None:
    generator = np.random.default_rng(0)
    codes = generator.choice(4, 2000, p=[0.5, 0.3, 0.15, 0.05])
    found = agreement(codes, np.arange(2000), generator.integers(0, 2000, (2000, 20)))
    assert found.share == pytest.approx(found.chance, abs=0.01)


def test_clusters_that_are_the_genres_and_such_that_know_nothing() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 3, 400)
    apart = np.eye(3)[codes] * 10 + generator.normal(size=(400, 3))
    good, bad = clusters(apart, codes, 0), clusters(generator.normal(size=(400, 3)), codes, 0)
    assert good is not None
    assert bad is not None
    assert good.v_measure > 0.95
    assert good.silhouette > 0.6
    assert abs(bad.silhouette) < 0.05
    assert bad.v_measure < 0.05
    assert clusters(apart, np.zeros(400, int), 0) is None


def test_probes_read_what_is_there_and_nothing_else() -> None:
    generator = np.random.default_rng(1)
    n = 600
    vectors, groups = generator.normal(size=(n, 8)), np.arange(n) // 3
    number = vectors @ np.arange(8.0) + 100
    number[::7] = np.nan
    found = probe(vectors, number, groups, 0)
    assert found is not None
    assert found.songs == np.isfinite(number).sum()
    assert found.value < 0.1 < found.chance
    assert found.r_squared is not None
    assert found.r_squared > 0.99
    classes = (vectors[:, 0] > 0.3).astype(int)
    good, bad = probe(vectors, classes, groups, 0), probe(vectors, generator.integers(0, 2, n), groups, 0)
    assert good is not None
    assert bad is not None
    assert good.value > 0.9
    assert good.chance == pytest.approx(max(classes.mean(), 1 - classes.mean()), abs=0.01)
    assert bad.value < 0.6


def test_a_probe_does_not_learn_artists_by_heart() -> None:
    # Songs of an artist are alike, and so is their class, but artists' places say nothing about it.
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 10)
    vectors = generator.normal(size=(60, 30))[groups] + 0.01 * generator.normal(size=(600, 30))
    found = probe(vectors, generator.integers(0, 2, 60)[groups], groups, 0)
    assert found is not None
    assert found.value < 0.7


def test_a_song_that_lies_outside_of_all_others_does_not_decide_a_probe() -> None:
    generator = np.random.default_rng(3)
    vectors = 1e-6 * generator.normal(size=(300, 8))
    vectors[7] = 1.0  # a space that has collapsed, but for one song
    found = probe(vectors, generator.normal(120.0, 20.0, 300), np.arange(300), 0)
    assert found is not None
    assert found.value < 1.2 * found.chance


def test_few_songs_or_one_class_have_no_probe() -> None:
    vectors = np.random.default_rng(0).normal(size=(100, 3))
    assert probe(vectors, np.zeros(100, int), np.arange(100), 0) is None
    assert probe(vectors, np.r_[0, 1, np.full(98, -1)], np.arange(100), 0) is None
    assert probe(vectors, vectors[:, 0], np.zeros(100, int), 0) is None


def songs_in_spanish(by_words: bool) -> tuple[Songs, np.ndarray, np.ndarray]:
    """200 songs: 50 Latin in Spanish, 50 of Rock in Spanish, 100 of Rock in English; half with lyrics."""
    genre = np.repeat([0, 1, 1], [50, 50, 100])
    language = np.repeat([0, 0, 1], [50, 50, 100])
    songs = Songs(genre, language, genre == 0, language == 0, np.arange(200) % 2 == 0)
    queries = np.arange(200)
    own = language if by_words else genre
    generator = np.random.default_rng(0)
    neighbours = np.stack([generator.choice(np.flatnonzero(own == own[song]), 10) for song in queries])
    return songs, queries, neighbours


def test_the_question_of_language_is_answered_by_its_figures() -> None:
    songs, queries, by_words = songs_in_spanish(True)
    _, _, by_genre = songs_in_spanish(False)
    anyone = np.random.default_rng(1).integers(0, 200, (200, 10))
    said = language_question(songs, queries, {"embedding": by_words, "raw": anyone})
    assert "it is the words" in str(said["reading"])
    assert said["chance"] == {"latin": 0.25, "spanish": 0.5}
    said = language_question(songs, queries, {"embedding": by_genre, "raw": anyone})
    assert "do not lie together across genres" in str(said["reading"])


def test_raw_features_are_means_and_deviations() -> None:
    timbre = np.vstack([np.arange(12), np.arange(12) + 2]).astype(np.float32)
    pitches = np.vstack([np.zeros(12), np.ones(12)]).astype(np.float32)
    found = raw_features(timbre.ravel(), pitches.ravel())
    assert found.shape == (SIZE,)
    np.testing.assert_array_equal(found[:12], np.arange(12) + 1)
    np.testing.assert_array_equal(found[12:24], np.ones(12))
    np.testing.assert_array_equal(found[24:], np.full(24, 0.5))
    plain = standardise(np.array([[1, 5], [3, 5]], np.float32))
    np.testing.assert_array_equal(plain, [[-1, 0], [1, 0]])


def test_a_class_of_one_artist_has_no_probe() -> None:
    vectors = np.random.default_rng(0).normal(size=(100, 3))
    artists = np.arange(100) // 10
    assert probe(vectors, (artists == 3).astype(int), artists, 0) is None
