from __future__ import annotations

import json
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.errors import UserError
from tests.support.predictions import predictions, target
from tests.support.tiny_dataset import LABELS, copy_tiny_dataset, write_tiny_dataset
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets import make_target
from training.data.targets.target import Target
from training.evaluation.baselines import TrainingTruths, artist_mean_scores, stratified_random
from training.evaluation.bootstrap import Artists
from training.evaluation.classification import classification_metrics
from training.evaluation.judgement import judge, judge_splits, read_training_truths
from training.evaluation.learned import BOOSTING, LOGISTIC, RIDGE, Encoder, fit_learned
from training.evaluation.song_features import Features, read_features

TRUE = np.array([0, 0, 1, 1, 1])
FAST = Bootstrap(resamples=50)


def truths(groups: list[str], classes: list[int], size: int) -> TrainingTruths:
    known = np.array(classes) >= 0
    tracks = np.array([f"TR{number}" for number in range(len(groups))])
    return TrainingTruths.of(tracks, np.array(groups), np.array(classes), known, size)


def test_the_majority_by_hand() -> None:
    # Shares 1/4, 3/4, 0: B each time. Precision of B 3/5, recall 1: F1 = 2 (3/5) / (8/5) = 3/4; A's is 0.
    training = truths(list("wxyz"), [0, 1, 1, 1], 3)
    metrics = classification_metrics(TRUE, np.tile(training.prior, (5, 1)), ["A", "B", "C"])
    expected = {
        "accuracy": 3 / 5,
        "balanced_accuracy": 1 / 2,
        "macro_f1": (0 + 3 / 4) / 2,
        "weighted_f1": (2 * 0 + 3 * 3 / 4) / 5,
        # One score for all: the average precision is the class's share, 2/5 and 3/5; ROC-AUC is a coin's.
        "macro_average_precision": (2 / 5 + 3 / 5) / 2,
        "macro_roc_auc": 1 / 2,
        "log_loss": -(2 * log(1 / 4) + 3 * log(3 / 4)) / 5,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)


def test_stratified_guesses_by_hand() -> None:
    # Shares 1/4, 3/4, 0. Expected matrix: A: 2/4, 6/4; B: 3/4, 9/4. Right: (2 + 9) / 4 of 5.
    found = stratified_random(TRUE, np.array([1 / 4, 3 / 4, 0]), ["A", "B", "C"], Artists(np.arange(5), 5)).metrics
    assert found["accuracy"] == pytest.approx(11 / 20)
    assert found["balanced_accuracy"] == pytest.approx((1 / 4 + 3 / 4) / 2)
    # Precision is the class's share of the split: 2/5 and 3/5.
    f1_a, f1_b = 2 * (2 / 5) * (1 / 4) / (2 / 5 + 1 / 4), 2 * (3 / 5) * (3 / 4) / (3 / 5 + 3 / 4)
    assert found["by_class"]["A"] == pytest.approx({"support": 2, "precision": 2 / 5, "recall": 1 / 4, "f1": f1_a})
    assert found["macro_f1"] == pytest.approx((f1_a + f1_b) / 2)
    assert found["weighted_f1"] == pytest.approx((2 * f1_a + 3 * f1_b) / 5)
    assert found["log_loss"] is None
    json.dumps(found, allow_nan=False)


def test_stratified_guesses_of_ordered_classes_by_hand() -> None:
    # Shares .5 .3 .2. The neighbourhood of 0 has .8 of them, that of 1 all, that of 2 .5.
    shares = np.array([0.5, 0.3, 0.2])
    found = stratified_random(np.array([0, 1, 2, 2]), shares, list("ABC"), Artists(np.arange(4), 4), ordinal=True)
    assert found.metrics["off_by_one_accuracy"] == pytest.approx((0.8 + 1 + 0.5 + 0.5) / 4)
    resampled = found.statistic(np.array([[1.0, 0], [0, 0], [0, 0], [2, 2]]))
    # The second resample has examples of one class only.
    assert resampled["off_by_one_accuracy"] == pytest.approx([(0.8 + 2 * 0.5) / 3, np.nan], nan_ok=True)


def test_stratified_metrics_are_the_mean_of_many_draws() -> None:
    generator = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.2])
    true = generator.choice(3, 3000, p=[0.2, 0.3, 0.5])
    expected = stratified_random(true, shares, ["A", "B", "C"], Artists(np.arange(3000), 3000)).metrics
    draws = [
        classification_metrics(true, np.eye(3)[generator.choice(3, 3000, p=shares)], ["A", "B", "C"]) for _ in range(40)
    ]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"):
        assert expected[name] == pytest.approx(np.mean([draw[name] for draw in draws]), abs=0.006)


def test_the_artist_mean_by_hand() -> None:
    # Train: x has classes 1, 1; y has 0; one of x's songs has none. Shares 1/3, 2/3.
    training = truths(["x", "x", "y", "x"], [1, 1, 0, -1], 2)
    scores, known = artist_mean_scores(np.array(["x", "y", "a", "z"]), training)
    assert known == 2
    np.testing.assert_allclose(scores[0], [(0 + 1 / 3) / 3, (2 + 2 / 3) / 3])
    np.testing.assert_allclose(scores[1], [(1 + 1 / 3) / 2, (0 + 2 / 3) / 2])
    np.testing.assert_allclose(scores[2:], [[1 / 3, 2 / 3]] * 2)


def test_the_artist_mean_equals_the_majority_if_no_artist_is_known() -> None:
    made, what = predictions("popularity", 40, 10), replace(target("popularity", 10))
    training = truths(["elsewhere"] * 12, [*range(10), 3, 3], 10)
    metrics = judge(what, made, training, bootstrap=FAST)
    assert metrics["artist_mean"]["examples_of_known_artists"] == 0
    for name in ("accuracy", "macro_f1", "log_loss", "intervals"):
        assert metrics["artist_mean"][name] == metrics["majority"][name]


def test_every_baseline_has_an_interval_of_its_difference_from_the_model() -> None:
    made = predictions("genre", 90, 3)
    training = truths(["x"] * 6, [0, 0, 0, 1, 1, 2], 3)
    metrics = judge(target("genre", 3), made, training, bootstrap=Bootstrap(300))
    assert list(metrics) == ["model", "majority", "stratified"]
    assert "first_minus_this" not in metrics["model"]
    low, high = metrics["majority"]["first_minus_this"]["accuracy"]
    assert 0 < low < metrics["model"]["accuracy"] - metrics["majority"]["accuracy"] < high
    assert "log_loss" not in metrics["stratified"]["first_minus_this"]
    json.dumps(metrics, allow_nan=False)


def test_tags_and_factors_have_a_constant_baseline() -> None:
    for name, baseline in (("tags", "prior"), ("factors", "mean")):
        made = predictions(name, 40, 3)
        training = TrainingTruths.of(made.track_ids, made.artist_groups, made.true, made.present, 3)
        metrics = judge(target(name, 3), made, training, bootstrap=FAST)
        assert list(metrics) == ["model", baseline]
        if name == "tags":
            assert metrics["prior"]["macro_roc_auc"] == pytest.approx(0.5)
        else:
            # The mean of the same examples explains none of their variance.
            assert metrics["mean"]["r2"] == pytest.approx(0, abs=1e-6)


def test_examples_without_the_target_are_left_out() -> None:
    made = predictions("genre", 30, 3)
    present = np.arange(30) % 2 == 0
    with_holes = replace(made, present=present, true=np.where(present, made.true, -1))
    assert judge(target("genre", 3), with_holes, bootstrap=FAST) == judge(
        target("genre", 3), made.take(present), bootstrap=FAST
    )
    assert judge(target("genre", 3), replace(made, present=np.zeros(30, bool))) == {}


def test_scores_that_are_not_finite_are_an_error() -> None:
    made = predictions("genre", 30, 3)
    made.scores[4, 1] = np.nan
    with pytest.raises(UserError, match="1 of 30 examples have scores that are not finite"):
        judge(target("genre", 3), made)


def features_of(values: np.ndarray, true: np.ndarray, counts: np.ndarray | None = None) -> Features:
    """Return features of songs with one artist per five songs; `counts` is ``(n, n_words)``."""
    n = len(values)
    counts = np.zeros((n, 0), np.float32) if counts is None else counts.astype(np.float32)
    indices = np.where(counts > 0, np.arange(1, counts.shape[1] + 1), 0).astype(np.int32)
    names = np.array([f"T{k:05d}" for k in range(n)])
    groups = np.array([f"A{k // 5:05d}" for k in range(n)])
    return Features(names, values.astype(np.float32), true, groups, indices, counts)


def macro_f1(true: np.ndarray, scores: np.ndarray) -> float:
    return float(f1_score(true, scores.argmax(axis=1), average="macro"))


def separable(n: int, seed: int, noise: float = 0.5) -> Features:
    generator = np.random.default_rng(seed)
    true = generator.integers(0, 3, n)
    values = np.eye(3)[true] * 3 + generator.normal(size=(n, 3)) * noise
    return features_of(values * [1, 100, 1e-3], true)


def test_baselines_learn_classes_and_note_what_they_chose() -> None:
    fitted = fit_learned(target("genre", 4), separable(300, 0), macro_f1)
    test = separable(200, 2)
    assert list(fitted) == [LOGISTIC, BOOSTING]
    for one in fitted.values():
        scores = one.predict(test)
        assert scores.shape == (200, 4)
        assert (scores.argmax(axis=1) == test.true).mean() > 0.95
        # The fourth class has no example.
        assert (scores[:, 3] == 0).all()
        np.testing.assert_allclose(scores.sum(axis=1), 1)
    notes = fitted[LOGISTIC].notes
    chosen = [row["metric"] for row in notes["cross_validation"] if row["C"] == notes["C"]]
    assert len(notes["cross_validation"]) == 8
    assert max(chosen) == max(row["metric"] for row in notes["cross_validation"])
    json.dumps(notes)


def test_words_alone_decide_if_only_they_differ() -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 3, 150)
    counts = generator.poisson(0.5 + 4 * np.eye(3)[true])
    fitted = fit_learned(target("genre", 3), features_of(np.zeros((150, 0)), true, counts), macro_f1)
    again = features_of(np.zeros((150, 0)), true, generator.poisson(0.5 + 4 * np.eye(3)[true]))
    for one in fitted.values():
        assert macro_f1(true, one.predict(again)) > 0.8


def test_words_are_weighted_by_hand() -> None:
    # Word 1 is in both songs, word 2 in one only, so it is left out: each song has unit weight on word 1.
    train = features_of(np.array([[0.0], [2.0]]), np.array([0, 1]), np.array([[1, 3], [2, 0]]))
    encoder = Encoder(train)
    assert encoder.known.tolist() == [1]
    assert encoder.words(train).toarray().tolist() == [[1.0], [1.0]]
    # Mean 1, standard deviation 1; 9 is clipped to 4. One number: divided by 1.
    other = features_of(np.array([[9.0]]), np.array([0]), np.array([[0, 0]]))
    assert encoder.numbers(other).tolist() == [[4.0]]
    assert encoder.words(other).toarray().tolist() == [[0.0]]


def test_three_words_have_the_idf_of_a_hand_computation() -> None:
    train = features_of(np.zeros((3, 1)), np.array([0, 1, 2]), np.array([[1, 2], [1, 1], [1, 0]]))
    # idf = ln((1 + 3) / (1 + df)) + 1 for df 3 and 2; tf = 1 + ln count.
    weights = np.array([1.0, (1 + log(2)) * (log(4 / 3) + 1)])
    np.testing.assert_allclose(Encoder(train).words(train).toarray()[0], weights / np.linalg.norm(weights))


def test_baselines_of_tags_and_factors() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(300, 5)).astype(np.float32)
    tags = np.column_stack([values[:, 0] > 0, np.ones(300), np.zeros(300)]).astype(np.float32)
    songs = features_of(values, tags)
    fitted = fit_learned(target("tags", 3), songs, lambda true, scores: float(roc_auc_score(true[:, 0], scores[:, 0])))
    for one in fitted.values():
        scores = one.predict(songs)
        assert roc_auc_score(tags[:, 0], scores[:, 0]) > 0.97
        assert scores[:, 1:].tolist() == [[1, 0]] * 300
    factors = values @ generator.normal(size=(5, 2)).astype(np.float32) + 7
    ridge = fit_learned(
        target("factors", 2), features_of(values, factors), lambda true, scores: -float(np.square(true - scores).mean())
    )
    assert list(ridge) == [RIDGE]
    np.testing.assert_allclose(ridge[RIDGE].predict(features_of(values, factors)), factors, atol=0.3)


def test_baselines_work_with_one_class() -> None:
    one_class = features_of(np.ones((2, 3)), np.array([2, 2]))
    for one in fit_learned(target("genre", 3), one_class, macro_f1).values():
        assert one.predict(one_class).tolist() == [[0, 0, 1]] * 2


def test_baselines_work_without_a_known_word() -> None:
    for counts in ([[0], [0], [0], [0]], [[1], [1], [1], [0]]):
        songs = features_of(np.zeros((4, 0)), np.array([0, 1, 0, 0]), np.array(counts))
        for one in fit_learned(target("genre", 2), songs, macro_f1).values():
            assert np.isfinite(one.predict(songs)).all()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(
        write_tiny_dataset(tmp_path, {"train": [40, 30, 7], "validation": [9, 8], "test": [20, 1]}), "tiny"
    )


def made_for(dataset: Dataset, split: str, genre: Target) -> Predictions:
    features = read_features(dataset, split, genre)
    n = len(features.track_ids)
    scores = np.full((n, 3), 1 / 3, np.float32)
    groups = np.array([f"AR{k % 7}" for k in range(n)])
    return Predictions(features.track_ids, groups, features.true, scores, np.ones(n, bool))


def test_baselines_are_computed_from_the_files_of_a_dataset(dataset: Dataset) -> None:
    genre = make_target("genre", tuple(LABELS))
    made = {split: made_for(dataset, split, genre) for split in ("validation", "test")}
    metrics = judge_splits(dataset, genre, made, read_training_truths(dataset, genre), bootstrap=FAST)
    assert list(metrics) == ["validation", "test"]
    assert list(metrics["test"]) == ["model", "majority", "stratified", LOGISTIC, BOOSTING]
    # Genres of this dataset differ in mean timbre, so a linear model can learn them.
    assert metrics["test"][LOGISTIC]["accuracy"] > 0.8
    assert metrics["test"][LOGISTIC]["fit"]["training_examples"] == 77
    simple = judge_splits(
        dataset, genre, made, read_training_truths(dataset, genre), baselines="simple", bootstrap=FAST
    )
    assert list(simple["test"]) == ["model", "majority", "stratified"]
    assert list(
        judge_splits(dataset, genre, made, read_training_truths(dataset, genre), baselines="none", bootstrap=FAST)[
            "test"
        ]
    ) == ["model"]
    by_genre = dataset.metadata["examples_by_genre"]
    shares = np.array([by_genre[label]["train"] for label in LABELS]) / 77
    np.testing.assert_allclose(read_training_truths(dataset, genre).prior, shares)


def test_learned_baselines_have_the_inputs_of_the_model(dataset: Dataset) -> None:
    genre = make_target("genre", tuple(LABELS))
    made = {"test": made_for(dataset, "test", genre)}
    # Lyrics are noise in this dataset.
    metrics = judge_splits(dataset, genre, made, read_training_truths(dataset, genre), inputs="lyrics", bootstrap=FAST)
    assert metrics["test"][LOGISTIC]["accuracy"] < 0.8


def test_a_limit_reads_whole_files_until_it_is_reached(dataset: Dataset) -> None:
    genre = make_target("genre", tuple(LABELS))
    assert len(read_features(dataset, "train", genre, limit=41).track_ids) == 70
    assert len(read_features(dataset, "train", genre, limit=40).track_ids) == 40


def test_a_track_repeated_to_balance_genres_counts_once(dataset: Dataset) -> None:
    genre = make_target("genre", tuple(LABELS))
    once = read_training_truths(dataset, genre)
    copy_tiny_dataset(dataset.warehouse, "twice", lambda table, _: pa.concat_tables([table, table]), {"name": "twice"})
    twice = Dataset.open(dataset.warehouse, "twice")
    assert sum(twice.rows("train")) == 2 * sum(dataset.rows("train"))
    again = read_training_truths(twice, genre)
    assert len(again.track_ids) == 77
    np.testing.assert_array_equal(again.prior, once.prior)


def test_predictions_of_other_examples_are_refused(dataset: Dataset) -> None:
    genre = make_target("genre", tuple(LABELS))
    made = {"test": made_for(dataset, "test", genre).take(np.arange(20))}
    with pytest.raises(UserError, match="test of dataset tiny changed during the training; run msd-spark train again"):
        judge_splits(dataset, genre, made, read_training_truths(dataset, genre), bootstrap=FAST)
