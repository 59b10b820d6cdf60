"""Quality metrics by hand, and on spaces of known quality."""

from __future__ import annotations

import numpy as np
import pytest

from msd_spark.neighbours.space_metrics import agreement, clusters, probe

CODES = np.array([0, 0, 0, 1, 1, -1])


def test_agreement_by_hand() -> None:
    queries = np.array([0, 3, 5])
    neighbours = np.array([[1, 3, 5], [4, 0, -1], [0, 1, 2]])
    # Song 0: 1 equal, 3 different, 5 unknown. Song 3: 4 equal, 0 different. Song 5 is unknown.
    # Chance among four others: 2/4 for song 0, 1/4 for song 3, two pairs each: 3/8.
    result = agreement(CODES, queries, neighbours)
    assert (result["share"], result["chance"], result["pairs"]) == (0.5, 0.375, 4)


def test_agreement_without_known_traits_is_none() -> None:
    result = agreement(np.full(3, -1), np.arange(3), np.array([[1], [2], [0]]))
    assert (result["share"], result["chance"], result["pairs"]) == (None, None, 0)


def test_random_neighbours_agree_by_chance() -> None:
    generator = np.random.default_rng(0)
    codes = generator.choice(4, 2000, p=[0.5, 0.3, 0.15, 0.05])
    result = agreement(codes, np.arange(2000), generator.integers(0, 2000, (2000, 20)))
    assert result["share"] == pytest.approx(result["chance"], abs=0.01)


def test_clusters_of_separated_and_of_random_genres() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 3, 400)
    apart = np.eye(3)[codes] * 10 + generator.normal(size=(400, 3))
    good, bad = clusters(apart, codes, 0), clusters(generator.normal(size=(400, 3)), codes, 0)
    assert good is not None
    assert bad is not None
    assert good["v_measure"] > 0.95
    assert good["silhouette"] > 0.6
    assert abs(bad["silhouette"]) < 0.05
    assert bad["v_measure"] < 0.05
    assert clusters(apart, np.zeros(400, int), 0) is None


def test_probes_find_linear_traits_only() -> None:
    generator = np.random.default_rng(1)
    n = 600
    vectors, groups = generator.normal(size=(n, 8)), np.arange(n) // 3
    number = vectors @ np.arange(8.0) + 100
    number[::7] = np.nan
    result = probe(vectors, number, groups, 0)
    assert result is not None
    assert result["songs"] == np.isfinite(number).sum()
    assert result["value"] < 0.1 < result["chance"]
    assert result["r_squared"] is not None
    assert result["r_squared"] > 0.99
    classes = (vectors[:, 0] > 0.3).astype(int)
    good, bad = probe(vectors, classes, groups, 0), probe(vectors, generator.integers(0, 2, n), groups, 0)
    assert good is not None
    assert bad is not None
    assert good["value"] > 0.9
    assert good["chance"] == pytest.approx(max(classes.mean(), 1 - classes.mean()), abs=0.01)
    assert bad["value"] < 0.6


def test_probe_does_not_memorise_artists() -> None:
    # Songs of an artist share vector and class, but vectors do not predict the class of other artists.
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(60), 10)
    vectors = generator.normal(size=(60, 30))[groups] + 0.01 * generator.normal(size=(600, 30))
    result = probe(vectors, generator.integers(0, 2, 60)[groups], groups, 0)
    assert result is not None
    assert result["value"] < 0.7


def test_outlier_does_not_decide_a_probe() -> None:
    generator = np.random.default_rng(3)
    vectors = 1e-6 * generator.normal(size=(300, 8))
    vectors[7] = 1.0  # all songs but one are at one point
    result = probe(vectors, generator.normal(120.0, 20.0, 300), np.arange(300), 0)
    assert result is not None
    assert result["value"] < 1.2 * result["chance"]


def test_few_songs_or_one_class_have_no_probe() -> None:
    vectors = np.random.default_rng(0).normal(size=(100, 3))
    assert probe(vectors, np.zeros(100, int), np.arange(100), 0) is None
    assert probe(vectors, np.r_[0, 1, np.full(98, -1)], np.arange(100), 0) is None
    assert probe(vectors, vectors[:, 0], np.zeros(100, int), 0) is None


def test_class_of_one_artist_has_no_probe() -> None:
    vectors = np.random.default_rng(0).normal(size=(100, 3))
    artists = np.arange(100) // 10
    assert probe(vectors, (artists == 3).astype(int), artists, 0) is None
