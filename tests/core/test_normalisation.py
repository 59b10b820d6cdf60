"""Normalisation of features: moments without padding, and the same result for any division into parts."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.cells import from_cells
from msd_spark.core.examples import ExampleForm, examples_table
from msd_spark.core.normalisation import feature_moments, normalisation
from msd_spark.core.schemas import EXAMPLES, Geometry
from msd_spark.core.song_summary import SUMMARY_SIZE

SMALL = Geometry(n_segments=3, n_pitches=2, lyric_size=2)


def examples(n_rows: int, seed: int = 0) -> pa.Table:
    """Return random examples whose padding is 9, so that a mean that includes it is wrong."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 4, n_rows).astype(np.int32)
    padding = SMALL.mask(lengths)[..., None] == 0
    has_lyrics = generator.integers(0, 2, n_rows).astype(np.float32)
    vectors = {
        "chroma": np.where(padding, 9, generator.normal(2, 3, (n_rows, 3, 2))),
        "timbre": np.where(padding, 9, generator.normal(-50, 90, (n_rows, 3, 2))),
        "lyric_vector": np.where(has_lyrics[:, None] > 0, generator.normal(0, 0.1, (n_rows, 2)), 9),
    }
    numbers = {"n_segments": lengths, "has_lyrics": has_lyrics}
    return as_examples([f"TR{number:016d}" for number in range(n_rows)], vectors, numbers)


def as_examples(tracks: list[str], vectors: dict[str, np.ndarray], numbers: dict[str, np.ndarray]) -> pa.Table:
    widths = {name: kind.shape for name, kind in ExampleForm(SMALL).arrays.items()}
    zeros = {name: np.zeros((len(tracks), *widths.get(name, ()))) for name in EXAMPLES.names}
    ids = {"track_id": tracks, "artist_group": ["AR"] * len(tracks)}
    return examples_table({**zeros, **ids, **vectors, **numbers}, ExampleForm(SMALL))


def test_moments_leave_out_padding_and_absent_lyrics() -> None:
    vectors = {
        "chroma": np.array([[1, 2, 3, 4, 9, 9], [5, 6, 9, 9, 9, 9]]),
        "timbre": np.array([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]]),
        "lyric_vector": np.array([[0.5, 1], [9, 9]]),
        "dynamics": np.array([[-9, 0, 1, -6, 0, 1, 9, 9, 9], [-3, 0, 1, 9, 9, 9, 9, 9, 9]]),
        "summary": np.tile([[1.0], [5.0]], SUMMARY_SIZE),
    }
    table = as_examples(["TR1", "TR2"], vectors, {"n_segments": np.array([2, 1]), "has_lyrics": np.array([1.0, 0.0])})
    # Three segments count: chroma (1, 2), (3, 4), (5, 6); timbre (1, 2), (3, 4), (1, 2). One bag of lyrics.
    # Count, means, squared deviations: chroma 2² + 0² + 2² = 8; timbre of 1, 3, 1 around 5/3: 4/9 + 16/9 + 4/9 = 8/3.
    expected = {
        "chroma": [3, 3, 4, 8, 8],
        "timbre": [3, 5 / 3, 8 / 3, 8 / 3, 8 / 3],
        "lyric_vector": [1, 0.5, 1, 0, 0],
        "dynamics": [3, -6, 0, 1, 18, 0, 0],
        "summary": [2, *[3] * SUMMARY_SIZE, *[8] * SUMMARY_SIZE],
    }
    moments_of = feature_moments(table, SMALL)
    assert moments_of.keys() == expected.keys()
    for name, values in expected.items():
        moments = moments_of[name]
        assert [moments.count, *moments.mean, *moments.squares] == pytest.approx(values)


@given(st.integers(1, 30), st.lists(st.integers(0, 30), max_size=4), st.integers(0, 1000))
def test_normalisation_is_that_of_all_rows_however_they_are_cut(n_rows: int, cuts: list[int], seed: int) -> None:
    table = examples(n_rows, seed)
    borders = [0, *sorted(min(cut, n_rows) for cut in cuts), n_rows]
    statistics = normalisation(feature_moments(table.slice(a, b - a), SMALL) for a, b in itertools.pairwise(borders))
    inside = SMALL.mask(table["n_segments"].to_numpy()).astype(bool)
    has_lyrics = table["has_lyrics"].to_numpy() > 0
    for name, shape, counts in (
        ("chroma", (3, 2), inside),
        ("timbre", (3, 2), inside),
        ("lyric_vector", (2,), has_lyrics),
    ):
        rows = from_cells(table[name]).reshape(n_rows, *shape)[counts].astype(float)
        mean = rows.mean(axis=0) if len(rows) else np.zeros(2)
        deviation = rows.std(axis=0) if len(rows) > 1 else np.ones(2)
        assert statistics[name]["mean"] == pytest.approx(mean, abs=1e-6)
        assert statistics[name]["deviation"] == pytest.approx(deviation, rel=1e-6)
