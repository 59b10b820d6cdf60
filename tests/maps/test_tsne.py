from __future__ import annotations

import numpy as np
import pytest

from msd_spark.catalogue.embeddings import read_embeddings
from msd_spark.maps.tsne import GREATEST_STEP, ITERATIONS, TsnePlacer, fit_tsne
from tests.support.embedded_songs import write_embedded_songs

PERPLEXITY = 15.0


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return read_embeddings(write_embedded_songs(tmp_path_factory.mktemp("tsne"), n=80), "tiny").vectors


@pytest.fixture(scope="module")
def places(vectors: np.ndarray) -> np.ndarray:
    return fit_tsne(vectors, PERPLEXITY, 0)


def test_any_song_stays_within_the_interpolation_grid(vectors: np.ndarray, places: np.ndarray) -> None:
    place = TsnePlacer(vectors, places, PERPLEXITY)
    reach = ITERATIONS * GREATEST_STEP
    lower = place._map.box_x_lower_bounds
    assert lower.min() < places.min() - reach
    assert lower.max() + (lower[1] - lower[0]) > places.max() + reach
    strange = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32) * 1e3
    strange[0] = 0
    assert (np.abs(place(strange)) <= np.abs(places).max() + reach).all()


def test_fitted_song_is_placed_near_its_own_place(vectors: np.ndarray, places: np.ndarray) -> None:
    again = TsnePlacer(vectors, places, PERPLEXITY)(vectors)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert np.median(np.linalg.norm(again - places, axis=1)) < 0.1 * np.median(distances)


def test_map_does_not_depend_on_threads_and_reports_progress(vectors: np.ndarray) -> None:
    iterations: list[int] = []
    one = fit_tsne(vectors[:60], 10.0, 3, 1, iterations.append)
    assert sum(iterations) == 750
    np.testing.assert_array_equal(one, fit_tsne(vectors[:60], 10.0, 3, 2))
    assert np.abs(one.min(axis=0) + one.max(axis=0)).max() < 1e-4
