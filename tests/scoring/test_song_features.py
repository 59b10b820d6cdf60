"""Entropy, rows, slices, refused songs and batches of one size: the parts of scoring without an engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.schemas import EMBEDDINGS, GEOMETRY, Geometry
from msd_spark.scoring.model import Scores, ScoringModel, embedding_rows, entropy
from msd_spark.scoring.slices import Slice, cut
from msd_spark.scoring.song_features import song_features
from msd_spark.scoring.trained_run import TrainedRun

SMALL = Geometry(n_segments=3, n_pitches=2, lyric_size=2)


def test_entropy_by_hand() -> None:
    # -(1/2 ln 1/2 + 2 * 1/4 ln 1/4) = 1/2 ln 2 + 1/2 ln 4 = 3/2 ln 2
    entropies = entropy(np.array([[0.5, 0.25, 0.25], [1, 0, 0], [1 / 3] * 3], np.float32))
    np.testing.assert_allclose(entropies, [1.5 * np.log(2), 0, np.log(3)], rtol=1e-6)
    assert entropies.dtype == np.float32


@given(st.lists(st.floats(1e-30, 1), min_size=1, max_size=20))
def test_entropy_is_between_none_and_all_alike(weights: list[float]) -> None:
    shares = np.array([weights], np.float32)
    shares /= shares.sum()
    assert 0 <= entropy(shares)[0] <= np.log(len(weights)) + 1e-5


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 40))
def test_slices_hold_each_row_group_once_and_no_more_than_they_may(rows: list[int], most: int) -> None:
    parts = cut(rows, most)
    assert [group for part in parts for group in part] == [group for group, n in enumerate(rows) if n]
    for part in parts:
        assert len(part) == 1 or sum(rows[group] for group in part) <= most


def test_a_slices_file_is_named_by_where_its_songs_are() -> None:
    assert Slice("a/b.parquet", 9, (8, 9), (5, 5)).name == "a-b-00008.parquet"


def batch_of(*songs: tuple[list[float], list[float]]) -> pa.RecordBatch:
    kind = pa.list_(pa.float32())
    columns = [pa.array(list(values), kind) for values in zip(*songs, strict=True)]
    return pa.RecordBatch.from_arrays(columns, ["segments_pitches", "segments_timbre"])


def test_one_bad_song_does_not_take_the_others_with_it() -> None:
    nan = float("nan")
    good = ([1.0, 2, 3, 4], [5.0, 6, 7, 8])
    batch = batch_of(([1, 2], [1, 2, 3, 4]), good, ([1, nan], [1, 2]), ([], []), ([9, 9], [8, 8]))
    features = song_features(batch, SMALL)
    assert features.rows.tolist() == [1, 4]
    assert [(row, reason) for row, reason, _ in features.refused] == [
        (0, "length_mismatch"),
        (2, "not_finite"),
        (3, "no_segments"),
    ]
    assert features.columns["chroma"].tolist() == [[[1, 2], [3, 4], [0, 0]], [[9, 9], [0, 0], [0, 0]]]
    assert features.columns["timbre"].tolist() == [[[5, 6], [7, 8], [0, 0]], [[8, 8], [0, 0], [0, 0]]]
    assert features.columns["n_segments"].tolist() == [2, 1]
    # A part of a larger batch is as good as a batch of its own.
    part = song_features(batch.slice(1, 1), SMALL)
    assert part.columns["chroma"].tolist() == [[[1, 2], [3, 4], [0, 0]]]


def test_numbers_behind_the_crop_need_not_be_finite() -> None:
    features = song_features(batch_of(([1] * 6 + [float("inf")] * 2, [1] * 8)), SMALL)
    assert features.rows.tolist() == [0]


def sums(inputs: Mapping[str, np.ndarray]) -> Scores:
    """Return, of each song alone, numbers that every input changes."""
    chroma = inputs["chroma"].sum(axis=(1, 2)) + 3 * inputs["mask"].sum(axis=1)
    return Scores(np.stack([chroma, inputs["lyric_vector"].sum(axis=1)], axis=1), inputs["has_lyrics"])


@given(st.integers(1, 17), st.integers(1, 9))
def test_every_call_has_the_same_size_and_no_song_sees_the_others(n: int, batch: int) -> None:
    generator = np.random.default_rng(n)
    columns: dict[str, np.ndarray] = {
        "chroma": generator.integers(0, 9, (n, 3, 2)).astype(np.float32),
        "timbre": np.zeros((n, 3, 2), np.float32),
        "n_segments": generator.integers(1, 4, n),
        "lyric_vector": generator.integers(0, 9, (n, 2)).astype(np.float32),
        "has_lyrics": generator.integers(0, 2, n).astype(np.float32),
    }
    sizes: set[int] = set()

    def infer(inputs: Mapping[str, np.ndarray]) -> Scores:
        sizes.update(len(rows) for rows in inputs.values())
        return sums(inputs)

    scores = ScoringModel(infer, SMALL, batch)(columns)
    assert sizes == {batch}
    alone = [
        ScoringModel(sums, SMALL, 1)({name: rows[row : row + 1] for name, rows in columns.items()}) for row in range(n)
    ]
    assert np.array_equal(scores.embeddings, np.concatenate([one.embeddings for one in alone]))
    assert np.array_equal(scores.outputs, np.concatenate([one.outputs for one in alone]))


@pytest.mark.parametrize("target", ["genre", "popularity", "tags", "factors"])
def test_what_a_head_says_goes_to_the_column_that_fits(target: str) -> None:
    run = TrainedRun("r", target, ("a", "b"), GEOMETRY, "none", {}, b"")
    scores = Scores(np.zeros((2, 50), np.float32), np.array([[0.25, 0.75], [1, 0]], np.float32))
    flags = {"has_lyrics": [True, False], "has_genre": [0, 1], "has_listens": [0, 0]}
    rows = embedding_rows(
        run, pa.array(["t", "u"]), scores, {name: np.array(values) for name, values in flags.items()}
    ).to_pylist()
    outputs = [[0.25, 0.75], [1, 0]]
    told = target == "genre"
    assert [row["genre_probabilities"] for row in rows] == (outputs if told else [None, None])
    assert [row["target_scores"] for row in rows] == ([None, None] if told else outputs)
    assert [row["predicted_genre"] for row in rows] == (["b", "a"] if told else [None, None])
    assert [row["entropy"] is None for row in rows] == [target in ("tags", "factors")] * 2
    assert [row["has_lyrics"] for row in rows] == [1, 0]
    assert [row["run"] for row in rows] == ["r", "r"]
    assert list(rows[0]) == EMBEDDINGS.names
