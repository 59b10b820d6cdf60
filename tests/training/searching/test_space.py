"""What a search chooses from, and that its choices are options of a training."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError
from training.loop.session import parsed
from training.models.settings import DEFAULTS
from training.search import parse_arguments
from training.searching.space import Range, SearchSpace, option_words


class Draws:
    """Stands for a trial, with what it draws said beforehand."""

    def __init__(self, share: float) -> None:
        self.share = share

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(low * (high / low) ** self.share if log else low + (high - low) * self.share)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[min(int(self.share * len(choices)), len(choices) - 1)]


@given(st.sampled_from(sorted(DEFAULTS)), st.floats(0, 1))
def test_a_choice_is_what_a_training_is_given(model: str, share: float) -> None:
    chosen = SearchSpace().suggest(Draws(share), model)
    options = parsed(["--model", model, *option_words(chosen)])
    settings, sizes = options.training_settings(), options.model_settings()
    assert settings.schedule.learning_rate == chosen["learning-rate"]
    assert (settings.batch, settings.optimizer.name) == (chosen["batch"], chosen["optimizer"])
    for name in {"filters", "hidden", "units"} & set(chosen):
        assert " ".join(map(str, getattr(sizes, name))) == chosen[name]
    if "dropout" in chosen:
        assert sizes.dropout == chosen["dropout"]


def test_sizes_are_shares_of_the_models_own() -> None:
    space = SearchSpace(widths=(0.5, 1.0))
    assert space.sizes("cnn") == ["64 64 128", "128 128 256"]
    assert space.sizes("lstm") == ["5 5", "10 10"]
    assert space.sizes("logistic") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--learning-rates 0 1", "a range goes from low to high, and above 0, not from 0.0 to 1.0"),
        ("--dropouts 0.5 0.1", "a range goes from low to high, not from 0.5 to 0.1"),
        ("--dropouts 0.5 1", "dropout lies from 0 to below 1, not from 0.5 to 1.0"),
        ("--batches 0", "batches are at least 1"),
        ("--trials 0", "--trials is at least 1, not 0"),
        ("--batch 5", "--batch is the search's to set"),
        ("--learning-rate=0.1", "--learning-rate is the search's to set"),
        ("--figure f2", "--figure for genre is one of accuracy, .*loss, not f2"),
        ("--label-smoothing 2", r"--label-smoothing is 2\.0; allowed: 0 to below 1"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_starts(words: str, message: str) -> None:
    with pytest.raises((UserError, OptionError), match=message):
        parse_arguments(words.split())


def test_a_range_of_one_number_is_a_range() -> None:
    assert Range(0.1, 0.1).low == 0.1


def test_other_options_are_those_of_every_trial() -> None:
    _, settings = parse_arguments("--model lstm --epochs 3 --class-weights sqrt --seed 4".split())
    options = parsed(settings.fixed)
    training = options.training
    assert (training.epochs, training.feed.class_weights) == (3, "sqrt")
    assert (training.seed, options.model.name) == (4, "lstm")
    assert (settings.decides, settings.minimises, settings.name) == ("macro_f1", False, "lstm-both")
    assert parse_arguments(["--figure", "loss"])[1].minimises
