"""Comparisons: means over seeds, intervals over artists and seeds, findings, and the runs that are planned."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from msd_spark.core.bootstrap import Bootstrap
from msd_spark.core.command_line import parse
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from msd_spark.core.verbs import VERBS
from training.comparing.comparison import Combination, compare, pool
from training.comparing.options import MODELS, CompareOptions, listed
from training.comparing.runs import plan_runs
from training.comparing.table import comparison_table, findings, markdown
from training.data.predictions import Predictions
from training.data.targets import TARGETS, make_target
from training.loop.settings import CheckpointSettings
from training.runs.predictions_table import from_table, predictions_table

TARGET = make_target("genre", ("Blues", "Jazz", "Rap"))
BOOTSTRAP = Bootstrap(resamples=400, seed=3)
METRICS = ("macro_f1", "accuracy")
GOOD, BAD = Combination("cnn", "both"), Combination("dense", "both")


def predictions(right: float, seed: int, n: int = 120, artists: int = 30) -> Predictions:
    """Return predictions with a share of correct ones; the truth does not depend on the seed."""
    generator = np.random.default_rng(seed)
    true = np.random.default_rng(0).integers(0, 3, n).astype(np.int32)
    guessed = np.where(generator.random(n) < right, true, generator.integers(0, 3, n))
    scores = np.full((n, 3), 0.1, np.float32)
    scores[np.arange(n), guessed] = 0.8
    tracks = np.array([f"TR{number:04d}" for number in range(n)])
    return Predictions(tracks, np.array([f"AR{number % artists}" for number in range(n)]), true, scores, true >= 0)


def two_models() -> dict[Combination, dict[int, Predictions]]:
    return {
        GOOD: {seed: predictions(0.9, seed) for seed in (0, 1, 2)},
        BAD: {seed: predictions(0.3, 10 + seed) for seed in (0, 1, 2)},
    }


def test_means_are_over_the_seeds() -> None:
    made = two_models()
    rows = compare(pool(TARGET, made, METRICS, BOOTSTRAP), METRICS, "cnn", BOOTSTRAP)
    for row, of in zip(rows, made.values(), strict=True):
        by_seed = [f1_score(one.true, one.scores.argmax(axis=1), average="macro") for one in of.values()]
        found = row["figures"]["macro_f1"]
        assert found["by_seed"] == pytest.approx(by_seed)
        assert found["mean"] == pytest.approx(np.mean(by_seed))
        assert found["standard_deviation"] == pytest.approx(np.std(by_seed, ddof=1))
        assert found["interval"][0] < found["mean"] < found["interval"][1]


def test_intervals_are_from_resampling_artists_and_seeds() -> None:
    """Compare with a resampling of single examples."""
    made = {GOOD: two_models()[GOOD]}
    pooled = pool(TARGET, made, ("accuracy",), BOOTSTRAP)[GOOD].resampled["accuracy"]
    right = np.array([one.scores.argmax(axis=1) == one.true for one in made[GOOD].values()])
    groups = made[GOOD][0].artist_groups
    by_artist = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    generator, slow = np.random.default_rng(8), []
    for _ in range(2000):
        drawn = np.concatenate([by_artist[artist] for artist in generator.integers(0, 30, 30)])
        slow.append(np.mean([right[seed][drawn].mean() for seed in generator.integers(0, 3, 3)]))
    assert pooled.mean() == pytest.approx(np.mean(slow), abs=0.004)
    assert pooled.std() == pytest.approx(np.std(slow), rel=0.15)


def test_differences_between_seeds_widen_the_interval() -> None:
    same = {GOOD: {seed: predictions(0.6, 1) for seed in (0, 1)}}
    differing = {GOOD: {0: predictions(0.3, 1), 1: predictions(0.9, 1)}}
    narrow, wide = (
        pool(TARGET, made, ("accuracy",), BOOTSTRAP)[GOOD].resampled["accuracy"].std() for made in (same, differing)
    )
    assert wide > 2 * narrow


def test_a_difference_is_significant_only_if_its_interval_excludes_zero() -> None:
    rows = compare(pool(TARGET, two_models(), METRICS, BOOTSTRAP), METRICS, "cnn", BOOTSTRAP)
    assert rows[0]["reference_minus_this"] is None
    lead = rows[1]["reference_minus_this"]["macro_f1"]
    assert lead["mean"] == pytest.approx(
        rows[0]["figures"]["macro_f1"]["mean"] - rows[1]["figures"]["macro_f1"]["mean"]
    )
    assert lead["interval"][0] > 0
    assert findings(described(rows)) == ["both: cnn is better than dense"]
    equal = {GOOD: {0: predictions(0.5, 1)}, BAD: {0: predictions(0.5, 2)}}
    rows = compare(pool(TARGET, equal, METRICS, BOOTSTRAP), METRICS, "cnn", BOOTSTRAP)
    assert findings(described(rows)) == ["both: cnn is not significantly different from dense"]
    rows[1]["reference_minus_this"]["macro_f1"]["interval"] = [-0.3, -0.1]
    assert findings(described(rows)) == ["both: cnn is worse than dense"]
    assert findings(described(rows) | {"figures": ["log_loss", "accuracy"], "rows": []}) == []


def described(rows: list[dict]) -> dict:
    extra = {"parameters": 1234, "epochs": 3.0, "seconds": None}
    return {
        "name": "small",
        "dataset": {"name": "tiny", "fingerprint": "abc"},
        "split": "test",
        "target": "genre",
        "examples": 120,
        "artists": 30,
        "seeds": [0, 1, 2],
        "figures": list(METRICS),
        "reference": "cnn",
        "neighbours": {"k": 10, "measure": "same genre", "spaces": ["raw", "components"], "rows": []},
        "folds": 0,
        "bootstrap": {"resamples": 400, "level": 0.95},
        "rows": [row | extra for row in rows],
        "baselines": {"majority": {"macro_f1": 0.1, "accuracy": 0.3, "intervals": {"accuracy": [0.2, 0.4]}}},
    }


def test_the_table_is_complete() -> None:
    rows = compare(pool(TARGET, two_models(), METRICS, BOOTSTRAP), METRICS, "cnn", BOOTSTRAP)
    table = comparison_table(described(rows))
    assert "cnn minus this (macro F1)" in table
    assert "1,234" in table
    assert ".300 [.200, .400]" in table
    page = markdown(described(rows), "training/compare.py --seeds 3")
    assert "training/compare.py --seeds 3" in page
    assert "120 examples by 30 artists" in page
    assert page.count("\n| cnn ") == page.count("\n| dense ") == 1


def test_runs_on_other_examples_are_not_compared() -> None:
    made = two_models()
    made[BAD][0] = predictions(0.5, 1).take(np.arange(100))
    with pytest.raises(UserError, match="dense-both with seed 0 was evaluated on other examples"):
        pool(TARGET, made, METRICS, BOOTSTRAP)


@pytest.mark.parametrize("name", TARGETS)
def test_stored_predictions_are_read_unchanged(name: str) -> None:
    generator = np.random.default_rng(2)
    target = make_target(name, ("a", "b", "c", "d"))
    n, present = 9, np.arange(9) % 3 > 0
    true = generator.integers(0, 4, n).astype(np.int32)
    if target.is_vector:
        true = generator.integers(0, 2, (n, 4)).astype(np.float32)
    true[~present] = 0
    scores = generator.random((n, 4)).astype(np.float32)
    made = Predictions(np.array([f"TR{i}" for i in range(n)]), np.array(["AR"] * n), true, scores, present)
    read = from_table(predictions_table(made, target), target)
    for field in ("track_ids", "artist_groups", "true", "scores", "present"):
        assert np.array_equal(getattr(read, field), getattr(made, field)), field


def test_lists_of_names() -> None:
    assert listed("all", ("audio", "both")) == ["audio", "both"]
    assert listed("both, audio", ("audio", "both")) == ["both", "audio"]
    for wrong in ("audio,video", "audio,audio"):
        with pytest.raises(OptionError, match=f"--inputs is '{wrong}'; allowed: all, or different names separated by"):
            CompareOptions(inputs=wrong)


def parsed(*words: str) -> CompareOptions:
    return parse(CompareOptions, words, VERBS["compare"])


def test_runs_are_planned_by_seed_with_the_options_of_a_training() -> None:
    options = parsed(*"--models cnn,lstm --inputs both --seeds 2 --name x --epochs 3 --dataset d".split())
    runs = plan_runs(options)
    assert [run.name for run in runs] == ["x-cnn-both-0", "x-lstm-both-0", "x-cnn-both-1", "x-lstm-both-1"]
    assert [run.options.run for run in runs] == [run.name for run in runs]
    assert [run.options.training.seed for run in runs] == [0, 0, 1, 1]
    assert [run.options.model.name for run in runs] == ["cnn", "lstm", "cnn", "lstm"]
    assert {(run.options.training.epochs, run.options.dataset, run.options.baselines) for run in runs} == {
        (3, "d", "simple")
    }
    assert all(run.options.resume for run in runs)
    assert not any(run.options.resume for run in plan_runs(parsed("--overwrite")))


def test_options_of_a_training_reach_every_run() -> None:
    words = (
        "--models lstm,dense --units 6 4 --hidden 30 --dropout 0.25 --class-weights balanced --scale-learning-rate sqrt"
    )
    words += " --checkpoint-every 2 --checkpoint-steps 7 --keep-checkpoints"
    for run in plan_runs(parsed(*words.split())):
        settings = run.options.model_settings()
        assert settings.dropout == 0.25
        assert settings.units == (6, 4) if run.model == "lstm" else settings.hidden == (30,)
        assert run.options.training.feed.class_weights == "balanced"
        assert run.options.training.schedule.scaling == "sqrt"
        assert run.options.checkpoints == CheckpointSettings(2, 7, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seed 4", "--seed cannot be chosen here; use --seeds"),
        ("--model=cnn", "--model cannot be chosen here; use --models"),
        ("--resume", "--resume cannot be chosen here; run the same command again to resume"),
        ("--seeds 0", "--seeds is 0; allowed: 1 or more"),
        ("--label-smoothing 2", "--label-smoothing is 2.0; allowed"),
        ("--filters 8 8", "--filters has 2 values; allowed: 3"),
        ("--units 8 8", "--units has no effect on cnn; leave it out, or choose one of lstm"),
    ],
)
def test_wrong_options_are_refused(words: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        plan_runs(parsed(*words.split(), "--models", "cnn"))


def test_a_bare_command_compares_everything() -> None:
    assert parsed() == CompareOptions()
    assert len(plan_runs(parsed())) == len(MODELS) * 3 * 5
