from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from msd_spark.core.bootstrap import Bootstrap, percentile_interval
from tests.support.predictions import predictions, target
from training.data.predictions import Predictions
from training.data.targets import TARGETS
from training.evaluation.bootstrap import Artists, Candidate, mean_statistic, resample, with_intervals
from training.evaluation.confusion import confusion_statistic
from training.evaluation.judgement import candidate_of, epoch_metrics, judge
from training.evaluation.ranking import RankedScores


def drawn_directly(made: Predictions, artists: Artists, drawn: np.ndarray) -> Predictions:
    """Return the examples of a resample: those of each drawn artist, repeated as often as it was drawn."""
    return made.take(np.repeat(np.arange(len(made)), drawn[artists.index].astype(int)))


def test_differences_are_those_of_the_first_candidate_minus_each_other() -> None:
    artists = Artists.of(np.arange(20))
    candidates = {
        name: Candidate({"accuracy": value}, mean_statistic({"accuracy": np.full(20, value)}, artists))
        for name, value in {"model": 0.75, "baseline": 0.25}.items()
    }
    evaluated = with_intervals(candidates, artists, Bootstrap(resamples=10))
    assert evaluated["model"]["intervals"]["accuracy"] == [0.75, 0.75]
    assert evaluated["baseline"]["first_minus_this"]["accuracy"] == [0.5, 0.5]
    assert "first_minus_this" not in evaluated["model"]


OVER_CLASSES = ("balanced_accuracy", "macro_f1", "macro_average_precision", "macro_roc_auc", "macro_pr_auc")


def lacks_a_class(whole: Predictions, resampled: Predictions) -> bool:
    """Return whether a class or tag with (or without) an example in the split has none in the resample."""

    def values(made: Predictions) -> set[tuple[int, float]]:
        if made.true.ndim == 1:
            return {(0, value) for value in made.true.tolist()}
        return {(tag, value) for tag, column in enumerate(made.true.T) for value in column.tolist()}

    return values(whole) != values(resampled)


@pytest.mark.parametrize("name", ["genre", "tags"])
def test_macro_metrics_of_resamples_lie_near_the_point_estimate(name: str) -> None:
    """Rare classes have few artists, so many resamples lack one of them."""
    generator = np.random.default_rng(3)
    shares = np.array([0.6, 0.25, 0.06, 0.03, 0.03, 0.03])
    biases, sizes = [], []
    for _ in range(20):
        n = 120
        groups = generator.integers(0, 40, n)
        of_artist = generator.choice(6, 40, p=shares)
        true = of_artist[groups].astype(np.int32)
        scores = (0.2 + np.eye(6)[np.where(generator.random(n) < 0.6, true, generator.integers(0, 6, n))]) / 2.2
        made_for = target(name, 6)
        truth = true if name == "genre" else np.eye(6, dtype=np.float32)[true]
        artists = Artists.of(groups)
        metric = TARGETS[name].main_metrics[0]
        candidate = candidate_of(made_for, truth, scores, artists)
        values = resample({"model": candidate.statistic}, artists, Bootstrap(200))["model"][metric]
        biases.append(np.nanmean(values) - candidate.metrics[metric])
        sizes.append(np.nanstd(values))
    # Both biases of the alternatives are larger: see docs/metrics.md.
    assert abs(np.mean(biases)) < 0.015
    assert np.sqrt(np.mean(np.square(biases))) < 0.5 * np.mean(sizes)


def test_a_class_absent_from_a_resample_counts_with_its_value_in_the_split() -> None:
    # A: 2 of 2 right (F1 1 in both). B: 1 of 2 right, by artist 1; the other is taken for C, which has no example.
    true, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    statistic = confusion_statistic(true, predicted, 3, Artists(np.array([0, 0, 1, 1]), 2))
    resampled = statistic(np.array([[1.0, 2], [1, 0]]))["macro_f1"]
    assert resampled == pytest.approx([(1 + 2 / 3) / 2] * 2)


@pytest.mark.parametrize("name", TARGETS)
@given(seed=st.integers(0, 999), n=st.integers(4, 60))
@settings(max_examples=15)
def test_metrics_of_a_resample_are_those_of_its_examples(name: str, seed: int, n: int) -> None:
    size = 3
    made, what = predictions(name, n, size, seed), target(name, size)
    artists = Artists.of(made.artist_groups)
    if artists.count < 2:
        return
    made_candidate = candidate_of(what, made.true, made.scores, artists)
    for drawn in Bootstrap(resamples=4, seed=seed).draws(artists.count):
        fast = made_candidate.statistic(drawn)
        assert set(TARGETS[name].headline_metrics) <= set(fast)
        for column in range(drawn.shape[1]):
            resample_of_made = drawn_directly(made, artists, drawn[:, column])
            slow = epoch_metrics(what, resample_of_made)
            for metric, values in fast.items():
                if metric not in slow or (metric in OVER_CLASSES and lacks_a_class(made, resample_of_made)):
                    continue
                if slow[metric] is None:
                    assert np.isnan(values[column])
                else:
                    assert values[column] == pytest.approx(slow[metric], rel=1e-9, abs=1e-9), metric


@given(st.integers(0, 999), st.integers(2, 50), st.integers(1, 5))
def test_weighted_ranking_metrics_equal_those_of_sklearn(seed: int, n: int, n_scores: int) -> None:
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < 0.4
    scores = generator.integers(0, n_scores, n) / n_scores  # many ties
    weights = generator.integers(0, 4, n).astype(float)
    ranked = RankedScores.of(positive, scores, Artists(np.arange(n), n))
    precision, area = ranked.average_precision(weights[:, None])[0], ranked.roc_auc(weights[:, None])[0]
    if not weights[positive].any():
        assert np.isnan(precision)
        assert np.isnan(area)
        return
    assert precision == pytest.approx(average_precision_score(positive, scores, sample_weight=weights))
    if weights[~positive].any():
        assert area == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights))
    else:
        assert np.isnan(area)


def test_whole_artists_are_drawn_as_many_as_there_are() -> None:
    artists = Artists.of(np.array(["b", "a", "b", "c"]))
    assert artists.index.tolist() == [1, 0, 1, 2]
    drawn = np.hstack(list(Bootstrap(resamples=500, seed=3).draws(artists.count)))
    assert drawn.shape == (3, 500)
    assert (drawn.sum(axis=0) == 3).all()
    assert drawn.mean(axis=1) == pytest.approx([1, 1, 1], abs=0.15)


def test_intervals_depend_on_the_seed_only() -> None:
    made, what = predictions("genre", 60, 3), target("genre", 3)
    first, again = (judge(what, made, bootstrap=Bootstrap(200, seed=1)) for _ in range(2))
    assert first == again
    assert first["model"]["intervals"] != judge(what, made, bootstrap=Bootstrap(200, seed=2))["model"]["intervals"]


def test_the_order_of_the_examples_does_not_matter() -> None:
    made, what = predictions("genre", 60, 3), target("genre", 3)
    other = made.take(np.random.default_rng(0).permutation(60))
    first, second = (judge(what, item, bootstrap=Bootstrap(200))["model"]["intervals"] for item in (made, other))
    for name, interval in first.items():
        assert interval == pytest.approx(second[name], rel=1e-9)


def interval_of_mean(values: np.ndarray, groups: np.ndarray, seed: int) -> list[float]:
    artists = Artists.of(groups)
    statistic = mean_statistic({"accuracy": values}, artists)
    found = resample({"model": statistic}, artists, Bootstrap(400, seed=seed))["model"]["accuracy"]
    interval = percentile_interval(found, 0.95)
    assert interval is not None
    return interval


def clustered(generator: np.random.Generator, n_artists: int = 60, songs: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return which predictions are correct, with one probability per artist, uniform in [0, 1]; its mean is .5."""
    chances = np.repeat(generator.random(n_artists), songs)
    return (generator.random(n_artists * songs) < chances).astype(float), np.repeat(np.arange(n_artists), songs)


def test_intervals_by_artist_have_the_nominal_coverage_and_those_by_track_do_not() -> None:
    generator = np.random.default_rng(5)
    by_artist = by_track = 0
    for trial in range(300):
        values, groups = clustered(generator)
        low, high = interval_of_mean(values, groups, trial)
        by_artist += low <= 0.5 <= high
        low, high = interval_of_mean(values, np.arange(len(values)), trial)
        by_track += low <= 0.5 <= high
    # 300 trials at 95 %: a standard deviation is 1.3 %. The variance by track lacks the artists' share of it.
    assert 0.90 <= by_artist / 300 <= 0.985
    assert by_track / 300 < 0.87


def test_an_interval_by_artist_is_wider_than_by_track_if_songs_of_an_artist_are_alike() -> None:
    # All songs of an artist are correct, or all wrong. Variance of the mean: .25 / 40 by artist, .25 / 400 by track.
    groups = np.repeat(np.arange(40), 10)
    values = np.repeat(np.arange(40) % 2, 10).astype(float)
    widths = [np.ptp(interval_of_mean(values, by, 0)) for by in (groups, np.arange(400))]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(10), rel=0.15)


def test_a_single_artist_has_no_interval() -> None:
    made = predictions("genre", 10, 2, n_artists=1)
    assert judge(target("genre", 2), made)["model"]["intervals"] == {}
