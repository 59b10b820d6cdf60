from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.schemas import GEOMETRY
from msd_spark.core.warehouse import Warehouse
from tests.support.predictions import predictions
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import make_target
from training.evaluation.baselines import TrainingTruths
from training.evaluation.fit import Fit, fit_to
from training.evaluation.leaks import find_leak
from training.runs.predictions_table import predictions_table

RUN: dict[str, Any] = {
    "run": "cnn",
    "target": {"name": "genre", "class_names": ["A", "B", "C"]},
    "geometry": asdict(GEOMETRY),
    "lyric_vectors": "v1",
    "arguments": {"inputs": "both"},
}


def dataset(tmp_path: Path, labels: list[str], counts: list[int] | None = None, **metadata: Any) -> Dataset:
    by_genre = {label: {"test": n} for label, n in zip(labels, counts or [5] * len(labels), strict=True)}
    plain = {
        "name": "other",
        "labels": labels,
        "geometry": asdict(GEOMETRY),
        "lyric_vectors": "v1",
        "examples_by_genre": by_genre,
    }
    return Dataset(Warehouse(str(tmp_path)), plain | metadata)


def fit(run: dict[str, Any], other: Dataset, name: str, classes: list[str]) -> Fit:
    return fit_to(run, other, make_target(name, tuple(classes)), "test")


def test_genres_are_matched_by_name(tmp_path: Path) -> None:
    found = fit(RUN, dataset(tmp_path, ["C", "A"]), "genre", ["C", "A"])
    assert found.target.class_names == ("A", "B", "C")
    made = predictions("genre", 4, 3)
    other = Predictions(
        made.track_ids, made.artist_groups, np.array([0, 1, 1, -1]), made.scores, np.array([True, True, True, False])
    )
    aligned = found.align(other)
    assert aligned.true.tolist() == [2, 0, 0, -1]
    assert aligned.scores is made.scores


def test_an_unknown_genre_is_refused_unless_it_has_no_examples(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"genre classes in test that run cnn does not have: Polka; .*train on this one"
    ):
        fit(RUN, dataset(tmp_path, ["A", "Polka"], [5, 1]), "genre", ["A", "Polka"])
    assert fit(RUN, dataset(tmp_path, ["A", "Polka"], [5, 0]), "genre", ["A", "Polka"]).places.tolist() == [0, -1]


def test_other_geometry_is_refused(tmp_path: Path) -> None:
    other = dataset(tmp_path, ["A"], geometry=asdict(GEOMETRY) | {"n_segments": 200})
    with pytest.raises(UserError, match=r"run cnn was trained on .*n_segments=300.*has .*n_segments=200"):
        fit(RUN, other, "genre", ["A"])


def test_other_lyric_vectors_are_refused_if_they_are_an_input(tmp_path: Path) -> None:
    other = dataset(tmp_path, ["A"], lyric_vectors="v2")
    with pytest.raises(UserError, match="other lyric vectors than run cnn was trained on"):
        fit(RUN, other, "genre", ["A"])
    assert fit(RUN | {"arguments": {"inputs": "audio"}}, other, "genre", ["A"]).places.tolist() == [0]


def test_only_the_tags_of_the_dataset_are_evaluated(tmp_path: Path) -> None:
    run = RUN | {"target": {"name": "tags", "class_names": ["loud", "quiet", "odd"]}}
    found = fit(run, dataset(tmp_path, ["A"]), "tags", ["odd", "loud"])
    assert found.target.class_names == ("odd", "loud")
    made = predictions("tags", 4, 3)
    np.testing.assert_array_equal(found.align(made).scores, made.scores[:, [2, 0]])
    training = TrainingTruths.of(made.track_ids, made.artist_groups, made.true, made.present, 3)
    assert found.training(training).prior.tolist() == training.prior[[2, 0]].tolist()
    with pytest.raises(UserError, match="tags that run cnn does not have: bright"):
        fit(run, dataset(tmp_path, ["A"]), "tags", ["odd", "bright"])


def made_of(factors: str) -> dict[str, Any]:
    return {"factors": {"files": 1, "bytes": 1, "fingerprint": factors}}


def test_factors_of_another_factorisation_are_refused(tmp_path: Path) -> None:
    run = RUN | {"target": {"name": "factors", "class_names": ["factor 0", "factor 1"]}, "factors": "f1"}
    assert (
        fit(run, dataset(tmp_path, ["A"], inputs=made_of("f1")), "factors", ["factor 0", "factor 1"]).target.size == 2
    )
    for other, names in (("f2", ["factor 0", "factor 1"]), ("f1", ["factor 0"])):
        with pytest.raises(UserError, match="other factors than run cnn"):
            fit(run, dataset(tmp_path, ["A"], inputs=made_of(other)), "factors", names)


def test_leaks_are_counted_by_track_and_by_artist() -> None:
    def examples(tracks: list[str], groups: list[str]) -> Predictions:
        none = np.zeros(len(tracks))
        return Predictions(np.array(tracks), np.array(groups), none, none, none > -1)

    def training(tracks: list[str], groups: list[str]) -> TrainingTruths:
        return TrainingTruths(np.array(tracks), np.array(groups), np.zeros(1), np.zeros(len(tracks)))

    leak = find_leak(examples(["t1", "t2", "t3", "t4"], ["x", "x", "y", "z"]), training(["t2", "t9"], ["x", "w"]))
    assert (leak.same_tracks, leak.known_artists, leak.examples_of_known_artists, leak.examples) == (1, 1, 2, 4)
    assert "WARNING: 2 of 4 examples are by 1 artists" in (leak.warning("cnn") or "")
    clean = find_leak(examples(["t1"], ["x"]), training(["t2"], ["y"]))
    assert clean.warning("cnn") is None


def test_predictions_of_classes_are_stored_by_name() -> None:
    made = predictions("genre", 3, 3)
    with_hole = Predictions(
        made.track_ids, made.artist_groups, np.array([2, 0, -1], np.int32), made.scores, np.array([True, True, False])
    )
    table = predictions_table(with_hole, make_target("genre", ("A", "B", "C"))).to_pydict()
    assert list(table) == ["track_id", "artist_group", "true", "predicted", "probabilities"]
    assert table["true"] == ["C", "A", None]
    assert table["predicted"] == ["ABC"[place] for place in made.scores.argmax(axis=1)]
    np.testing.assert_array_equal(np.array(table["probabilities"], np.float32), made.scores)


def test_predictions_of_tags_and_factors_are_lists() -> None:
    true = np.array([[1, 0], [1, 1], [0, 0]], np.float32)
    scores = np.array([[0.5, 0.4], [0.1, 0.9], [0, 0]], np.float32)
    made = Predictions(
        np.array(["a", "b", "c"]), np.array(["x", "x", "y"]), true, scores, np.array([True, True, False])
    )
    tags = predictions_table(made, make_target("tags", ("loud", "odd"))).to_pydict()
    assert tags["true"] == [["loud"], ["loud", "odd"], None]
    assert tags["predicted"] == [["loud"], ["odd"], []]
    factors = predictions_table(made, make_target("factors", ("factor 0", "factor 1"))).to_pydict()
    assert list(factors) == ["track_id", "artist_group", "true", "predicted"]
    assert factors["true"] == [[1, 0], [1, 1], None]
