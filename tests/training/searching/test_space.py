"""The options of a search, the space it chooses from, and the options of a training with a choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.command_line import parse, run_verb
from msd_spark.core.options import OptionError
from msd_spark.core.verbs import VERBS
from training.loop.options import TrainOptions
from training.models.settings import DEFAULTS, ModelOptions
from training.searching.options import SearchOptions
from training.searching.space import SearchSpace, with_choice


class Draws:
    """A trial with known choices."""

    def __init__(self, share: float) -> None:
        self.share = share

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(low * (high / low) ** self.share if log else low + (high - low) * self.share)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[min(int(self.share * len(choices)), len(choices) - 1)]


@given(st.sampled_from(sorted(DEFAULTS)), st.floats(0, 1))
def test_a_training_has_the_choice_of_its_trial(model: str, share: float) -> None:
    trial: Any = Draws(share)
    chosen = SearchSpace().suggest(trial, model)
    options = with_choice(TrainOptions(model=ModelOptions(model)), chosen)
    settings, sizes = options.training_settings(), options.model_settings()
    assert settings.schedule.learning_rate == chosen["learning-rate"]
    assert (settings.batch_size, settings.optimizer.name) == (chosen["batch-size"], chosen["optimizer"])
    for name in {"filters", "hidden", "units"} & set(chosen):
        assert " ".join(map(str, getattr(sizes, name))) == chosen[name]
    if "dropout" in chosen:
        assert sizes.dropout == chosen["dropout"]


def test_sizes_are_multiples_of_the_models_own() -> None:
    space = SearchSpace(widths=(0.5, 1.0))
    assert space.sizes("cnn") == ["64 64 128", "128 128 256"]
    assert space.sizes("lstm") == ["5 5", "10 10"]
    assert space.sizes("wide_deep") == ["64", "128"]
    assert space.sizes("logistic") == []


def parsed(words: str) -> SearchOptions:
    return parse(SearchOptions, words.split(), VERBS["search"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--learning-rates 0 1", r"--learning-rates is 0\.0; allowed: greater than 0"),
        ("--dropouts 0.5 0.1", r"--dropouts is 0\.5 0\.1; the first value is the lowest"),
        ("--dropouts 0.5 1", r"--dropouts is 1\.0; allowed: 0 to below 1"),
        ("--batch-sizes 0", "--batch-sizes is 0; allowed: 1 to 65536"),
        ("--trials 0", "--trials is 0; allowed: 1 or more"),
        ("--batch-size 5", "--batch-size cannot be chosen here; use --batch-sizes"),
        ("--learning-rate=0.1", "--learning-rate cannot be chosen here; use --learning-rates"),
        ("--metric f2", "--metric is 'f2'; allowed for --target genre: accuracy, .*loss"),
        ("--label-smoothing 2", r"--label-smoothing is 2\.0; allowed: 0 to below 1"),
    ],
)
def test_wrong_options_are_refused(words: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parsed(words)


def test_a_range_may_have_a_single_value_and_a_choice_needs_one() -> None:
    assert SearchSpace(learning_rates=(0.1, 0.1)).learning_rates == (0.1, 0.1)
    with pytest.raises(OptionError, match="--widths is empty; name at least one value"):
        SearchSpace(widths=())


def test_a_missing_dataset_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_verb("search", ["--warehouse", str(tmp_path / "none")])
    assert "run msd-spark dataset first" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_other_options_are_those_of_every_trial() -> None:
    options = parsed("--model lstm --epochs 3 --class-weights sqrt --seed 4")
    training = options.training.training
    assert (training.epochs, training.feed.class_weights) == (3, "sqrt")
    assert (training.seed, options.training.model.name) == (4, "lstm")
    assert (options.decides, options.sign, options.study_name) == ("macro_f1", -1, "lstm-both")
    assert parsed("--metric loss").sign == 1
    assert parsed("") == SearchOptions()
