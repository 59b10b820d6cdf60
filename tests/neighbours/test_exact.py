"""Exact neighbours against brute force in float64, ties and songs left out included."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msd_spark.neighbours.candidates import FEW_ROWS, TILE_ROWS, greatest
from msd_spark.neighbours.exact import NONE, Neighbours, nearest, nearest_of_all
from msd_spark.neighbours.exclusions import Exclusions
from msd_spark.neighbours.space import Space

NOTHING = Exclusions(np.empty((0, 0), np.int32))


def brute_force(vectors: np.ndarray, metric: str, k: int, allowed: np.ndarray) -> Neighbours:
    """Every distance by itself in float64, sorted with the row's number."""
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
def test_neighbours_are_those_of_brute_force(metric: str, n: int) -> None:
    vectors = clustered(n, 50, seed=n)
    expected = brute_force(vectors, metric, 10, np.ones((n, n), bool))
    found = nearest_of_all(Space.of(vectors, metric), 10, NOTHING, np.arange(n), threads=2)
    np.testing.assert_array_equal(found.places, expected.places)
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_among_many_tiles_are_those_of_brute_force(metric: str) -> None:
    vectors = clustered(FEW_ROWS + 3 * TILE_ROWS + 77, 50, seed=3) + np.float32(5)
    space = Space.of(vectors, metric)
    rows = np.random.default_rng(0).choice(len(vectors), 600, replace=False)  # more than a tile's queries
    found = nearest_of_all(space, 10, NOTHING, rows, threads=2)
    x = vectors.astype(np.float64)
    x = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cosine" else x
    for row, places in zip(rows, found.places, strict=True):
        distances = 1 - x @ x[row] if metric == "cosine" else np.linalg.norm(x - x[row], axis=1)
        distances[row] = np.inf
        np.testing.assert_array_equal(places, np.argsort(distances, kind="stable")[:10])


def test_equal_songs_stand_in_the_order_of_track_ids() -> None:
    # 3,000 songs are the same: no float32 score can tell them apart, and each has the ten smallest others.
    vectors = clustered(FEW_ROWS + 3000, 20, seed=1)
    vectors[::3][:3000] = vectors[0]
    same = np.arange(len(vectors))[::3][:3000]
    for metric in ("cosine", "euclidean"):
        found = nearest_of_all(Space.of(vectors, metric), 10, NOTHING, same[[0, 5, 2999]])
        for row, places in zip(same[[0, 5, 2999]], found.places, strict=True):
            np.testing.assert_array_equal(places, [other for other in same[:11] if other != row][:10])
        assert len(np.unique(found.distances)) == 1


def test_a_song_of_zeros_is_as_far_from_all() -> None:
    vectors = np.array([[0, 0], [1, 0], [0, 2], [0, 0]], np.float32)
    found = nearest_of_all(Space.of(vectors, "cosine"), 3, NOTHING, np.arange(4))
    np.testing.assert_array_equal(found.distances, np.ones((4, 3)))
    np.testing.assert_array_equal(found.places[0], [1, 2, 3])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 6),
    st.integers(1, 8),
    st.sampled_from(["cosine", "euclidean"]),
    st.integers(0, 2**32 - 1),
)
def test_whatever_is_left_out_the_nearest_others_remain(n: int, artists: int, k: int, metric: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Whole numbers make many equal distances; a Euclidean distance of theirs has no rounding at all.
    vectors = generator.integers(-2, 3, (n, 3)).astype(np.float32) if metric == "euclidean" else clustered(n, 3, seed)
    codes = generator.integers(-1, artists, (2, n)).astype(np.int32)
    shared = np.zeros((n, n), bool)
    for code in codes:
        shared |= (code[:, None] == code) & (code[:, None] >= 0)
    expected = brute_force(vectors, metric, k, ~shared)
    found = nearest_of_all(Space.of(vectors, metric), k, Exclusions(codes), np.arange(n))
    np.testing.assert_array_equal(found.places, expected.places)


def test_an_artist_with_most_of_the_songs_still_has_exact_neighbours() -> None:
    n = FEW_ROWS + 2000
    vectors = clustered(n, 10, seed=4)
    codes = np.zeros((1, n), np.int32)
    codes[0, -50:] = np.arange(1, 51)
    found = nearest_of_all(Space.of(vectors, "cosine"), 10, Exclusions(codes), np.array([0, 5, n - 1]))
    x = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    others = np.arange(n - 50, n)
    np.testing.assert_array_equal(found.places[0], others[np.argsort(-(x[others] @ x[0]), kind="stable")[:10]])
    assert (found.places[2] != n - 1).all()


def test_fewer_others_than_wanted_leave_places_empty() -> None:
    found = nearest_of_all(Space.of(clustered(4, 5, seed=0), "cosine"), 10, NOTHING, np.arange(4))
    np.testing.assert_array_equal((found.places == NONE).sum(axis=1), 7)
    assert np.isinf(found.distances[:, 3:]).all()


def test_a_query_from_outside_has_every_song_as_a_candidate() -> None:
    vectors = clustered(50, 5, seed=0)
    found = nearest(Space.of(vectors, "cosine"), vectors[7:8], np.array([NONE]), 3, NOTHING)
    assert found.places[0, 0] == 7
    assert found.distances[0, 0] == pytest.approx(0, abs=1e-15)


def test_vectors_that_cannot_be_searched_are_refused() -> None:
    vectors = clustered(5, 3, seed=0)
    vectors[3, 1] = np.nan
    with pytest.raises(ValueError, match="1 vectors are not finite, the first is number 3"):
        Space.of(vectors, "cosine")
    with pytest.raises(ValueError, match="float32 cannot hold"):
        Space.of(np.array([[1e30], [-1e30]], np.float32), "euclidean")


@pytest.mark.parametrize("count", [1, 16, 70, 130, 400])
def test_the_greatest_scores_are_those_of_sorting(count: int) -> None:
    generator = np.random.default_rng(count)
    rows = generator.normal(size=(FEW_ROWS + TILE_ROWS + 5, 8)).astype(np.float32)
    rows = rows[np.argsort(rows[:, 0])]  # an order that keeps the greatest for the end
    queries = np.vstack([np.eye(8), generator.normal(size=(30, 8))]).astype(np.float32)
    scores, places, floor = greatest(queries, rows, count)
    every = (rows @ queries.T).T
    np.testing.assert_allclose(np.sort(scores)[:, ::-1], np.sort(every)[:, ::-1][:, :count], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(every, places, 1), scores, rtol=1e-5, atol=1e-6)
    assert all(len(set(row)) == count for row in places)
    np.testing.assert_array_equal(floor, scores.min(axis=1))


def test_names_and_ids_say_who_is_left_out() -> None:
    songs = pd.DataFrame(
        {
            "song_id": ["S1", "S2", "S2", "S4", None],
            "artist_id": ["A1", "A2", "A1", None, None],
            "artist_name": ["Björk", "BJÖRK!", "Other", None, "Else"],
            "title": ["Jóga", "jóga", "x", None, "y"],
        }
    )
    everyone = np.arange(5)
    artists = Exclusions.of(songs, ["same-artist"]).allowed(everyone, everyone)
    assert [row.tolist() for row in np.argwhere(~artists & (everyone[:, None] < everyone))] == [[0, 1], [0, 2]]
    doubles = Exclusions.of(songs, ["duplicates"]).allowed(everyone, everyone)
    assert [row.tolist() for row in np.argwhere(~doubles & (everyone[:, None] < everyone))] == [[0, 1], [1, 2]]
    assert not Exclusions.of(songs, []).allowed(everyone, everyone).diagonal().any()
