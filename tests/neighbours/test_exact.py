"""Exact neighbours against brute force in float64, with ties and exclusions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msd_spark.neighbours import exact
from msd_spark.neighbours.exact import NONE, QUERIES_AT_ONCE, Neighbours, greatest, nearest, nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space

NOTHING = Exclusions(np.empty((0, 0), np.int32))
MANY = 14_413
"""Enough songs for several of faiss's blocks."""


def brute_force(vectors: np.ndarray, metric: str, k: int, allowed: np.ndarray) -> Neighbours:
    """Sort every distance, computed in float64, with the row's number."""
    x = vectors.astype(np.float64)
    result = Neighbours.empty(len(x), k)
    for row in range(len(x)):
        if metric == "cosine":
            lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(x[row])
            distances = 1 - np.divide(x @ x[row], lengths, out=np.zeros(len(x)), where=lengths > 0)
        else:
            distances = np.linalg.norm(x - x[row], axis=1)
        others = [other for other in range(len(x)) if other != row and allowed[row, other]]
        best = sorted(others, key=lambda other: (distances[other], other))[:k]
        result.places[row, : len(best)] = best
        result.distances[row, : len(best)] = distances[best]
    return result


def clustered(n: int, size: int, seed: int, clusters: int = 20) -> np.ndarray:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(clusters, size))
    return (centres[generator.integers(0, clusters, n)] + 0.2 * generator.normal(size=(n, size))).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_neighbours_equal_brute_force(metric: str, n: int) -> None:
    vectors = clustered(n, 50, seed=n)
    expected = brute_force(vectors, metric, 10, np.ones((n, n), bool))
    neighbours = nearest_of_all(Space.of(vectors, metric), 10, NOTHING, np.arange(n), threads=2)
    np.testing.assert_array_equal(neighbours.places, expected.places)
    np.testing.assert_allclose(neighbours.distances, expected.distances, atol=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_among_many_songs_equal_brute_force(metric: str) -> None:
    vectors = clustered(MANY, 50, seed=3) + np.float32(5)
    space = Space.of(vectors, metric)
    rows = np.random.default_rng(0).choice(len(vectors), QUERIES_AT_ONCE + 100, replace=False)
    neighbours = nearest_of_all(space, 10, NOTHING, rows, threads=2)
    x = vectors.astype(np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cosine" else x
    for row, places in list(zip(rows, neighbours.places, strict=True))[::4]:
        distances = 1 - x @ x[row] if metric == "cosine" else np.linalg.norm(x - x[row], axis=1)
        distances[row] = np.inf
        np.testing.assert_array_equal(places, np.argsort(distances, kind="stable")[:10])


def test_equal_songs_are_sorted_by_track_id() -> None:
    # 3,000 songs are equal: each has the ten others with the smallest ids.
    vectors = clustered(MANY, 20, seed=1)
    vectors[::3][:3000] = vectors[0]
    same = np.arange(len(vectors))[::3][:3000]
    for metric in ("cosine", "euclidean"):
        neighbours = nearest_of_all(Space.of(vectors, metric), 10, NOTHING, same[[0, 5, 2999]])
        for row, places in zip(same[[0, 5, 2999]], neighbours.places, strict=True):
            np.testing.assert_array_equal(places, [other for other in same[:11] if other != row][:10])
        assert len(np.unique(neighbours.distances)) == 1


def test_zero_vector_is_equally_far_from_all() -> None:
    vectors = np.array([[0, 0], [1, 0], [0, 2], [0, 0]], np.float32)
    neighbours = nearest_of_all(Space.of(vectors, "cosine"), 3, NOTHING, np.arange(4))
    np.testing.assert_array_equal(neighbours.distances, np.ones((4, 3)))
    np.testing.assert_array_equal(neighbours.places[0], [1, 2, 3])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 6),
    st.integers(1, 8),
    st.sampled_from(["cosine", "euclidean"]),
    st.integers(0, 2**32 - 1),
)
def test_exclusions_leave_the_nearest_other_songs(n: int, artists: int, k: int, metric: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Integers have many equal distances, and Euclidean distances without rounding.
    vectors = generator.integers(-2, 3, (n, 3)).astype(np.float32) if metric == "euclidean" else clustered(n, 3, seed)
    codes = generator.integers(-1, artists, (2, n)).astype(np.int32)
    shared = np.zeros((n, n), bool)
    for code in codes:
        shared |= (code[:, None] == code) & (code[:, None] >= 0)
    expected = brute_force(vectors, metric, k, ~shared)
    neighbours = nearest_of_all(Space.of(vectors, metric), k, Exclusions(codes), np.arange(n))
    np.testing.assert_array_equal(neighbours.places, expected.places)


def test_artist_with_most_of_the_songs_has_exact_neighbours() -> None:
    n = MANY
    vectors = clustered(n, 10, seed=4)
    codes = np.zeros((1, n), np.int32)
    codes[0, -50:] = np.arange(1, 51)
    neighbours = nearest_of_all(Space.of(vectors, "cosine"), 10, Exclusions(codes), np.array([0, 5, n - 1]))
    x = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    others = np.arange(n - 50, n)
    np.testing.assert_array_equal(neighbours.places[0], others[np.argsort(-(x[others] @ x[0]), kind="stable")[:10]])
    assert (neighbours.places[2] != n - 1).all()


def test_too_few_other_songs_leave_places_empty() -> None:
    neighbours = nearest_of_all(Space.of(clustered(4, 5, seed=0), "cosine"), 10, NOTHING, np.arange(4))
    np.testing.assert_array_equal((neighbours.places == NONE).sum(axis=1), 7)
    assert np.isinf(neighbours.distances[:, 3:]).all()


def test_query_from_outside_can_have_any_song() -> None:
    vectors = clustered(50, 5, seed=0)
    neighbours = nearest(Space.of(vectors, "cosine"), vectors[7:8], np.array([NONE]), 3, NOTHING)
    assert neighbours.places[0, 0] == 7
    assert neighbours.distances[0, 0] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("count", [1, 16, 130, 400])
@pytest.mark.parametrize("n_queries", [1, 38])
def test_greatest_scores_equal_those_of_a_sort(count: int, n_queries: int) -> None:
    generator = np.random.default_rng(count)
    rows = generator.normal(size=(MANY, 8)).astype(np.float32)
    queries = generator.normal(size=(n_queries, 8)).astype(np.float32)
    places, floor = greatest(queries, rows, count)
    scores = queries @ rows.T
    expected = np.sort(scores)[:, ::-1][:, :count]
    np.testing.assert_allclose(np.take_along_axis(scores, places, 1), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(floor, expected[:, -1], rtol=1e-5, atol=1e-6)
    places, floor = greatest(queries, rows[:count], count)
    assert np.isneginf(floor).all()
    np.testing.assert_array_equal(np.sort(places), np.tile(np.arange(count), (n_queries, 1)))


def test_search_in_small_blocks_has_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(400, 6, seed=2)
    codes = np.zeros((1, 400), np.int32)
    codes[0, :30] = np.arange(1, 31)
    space, exclusions, everyone = Space.of(vectors, "cosine"), Exclusions(codes), np.arange(400)
    whole = nearest_of_all(space, 5, exclusions, everyone)
    sizes: list[int] = []

    def counted(queries: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(queries) * count * 6)
        return greatest(queries, rows, count)

    monkeypatch.setattr(exact, "greatest", counted)
    monkeypatch.setattr(exact, "VALUES_AT_ONCE", 5000)
    blocks = nearest_of_all(space, 5, exclusions, everyone)
    np.testing.assert_array_equal(blocks.places, whole.places)
    assert max(sizes) <= 5000 < sum(sizes)
