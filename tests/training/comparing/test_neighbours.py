"""The agreement of neighbours by other artists, by hand and against a direct computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from msd_spark.core.bootstrap import Bootstrap
from training.comparing.neighbours import COMPONENTS, RAW, agreement_rows, neighbour_agreement


def test_neighbours_of_the_same_artist_do_not_count() -> None:
    # Angles 0, 1, 2, 90, 91 degrees; songs 0 and 1 are by one artist.
    angles = np.radians([0, 1, 2, 90, 91])
    vectors, artists = np.column_stack([np.cos(angles), np.sin(angles)]), np.array(["a", "a", "b", "c", "d"])
    # Nearest by others: 0 → 2, 1 → 2, 2 → 1, 3 → 4, 4 → 3.
    found = neighbour_agreement(vectors, np.array([0, 1, 1, 2, 0]), artists, k=1)
    assert found.tolist() == [0, 1, 1, 0, 0]
    tags = np.array([[1, 0], [1, 1], [1, 1], [0, 0], [0, 1]], float)
    assert neighbour_agreement(vectors, tags, artists, k=1).tolist() == [0.5, 1, 1, 0, 0]
    assert np.isnan(neighbour_agreement(vectors, tags, np.array(["a"] * 5), k=1)).all()


@given(st.integers(4, 40), st.integers(1, 3), st.integers(0, 1000))
def test_agreement_is_that_of_a_direct_computation(n: int, k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    vectors, true = generator.normal(size=(n, 5)), generator.integers(0, 3, n)
    artists = generator.integers(0, n // 2, n)
    distances = cdist(vectors, vectors, "cosine")
    found = neighbour_agreement(vectors, true, artists, k)
    for song in range(n):
        others = [place for place in np.argsort(distances[song]) if artists[place] != artists[song]]
        expected = np.mean(true[others[:k]] == true[song]) if len(others) >= k else np.nan
        assert found[song] == pytest.approx(expected, nan_ok=True)


def test_leads_are_paired_and_means_are_over_songs() -> None:
    spaces = {
        RAW: np.array([0, 0.5, 0.5, 1]),
        COMPONENTS: np.array([0, 0.5, 1, np.nan]),
        "m": np.array([0.1, 0.6, 0.6, 1]),
    }
    rows = agreement_rows(spaces, np.array(["a", "a", "b", "c"]), Bootstrap(50))
    # The fourth song has no value in one space, so it does not count.
    assert [row["agreement"]["mean"] for row in rows] == pytest.approx([1 / 3, 0.5, 1.3 / 3])
    assert rows[0]["minus_raw"] is None
    assert rows[2]["minus_raw"]["mean"] == pytest.approx(0.1)
    assert rows[2]["minus_raw"]["interval"] == pytest.approx([0.1, 0.1])
    assert agreement_rows(spaces, np.array(["a"] * 4), Bootstrap(50)) == []
