from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from msd_spark.core.errors import UserError
from tests.conftest import REPOSITORY
from training.data.augmentation import AugmentationSettings
from training.loop.options import add_options, model_settings, training_settings
from training.loop.settings import TrainingSettings
from training.models.settings import AUGMENTATION, DEFAULTS


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("model", sorted(DEFAULTS))
def test_nothing_said_means_the_defaults(model: str) -> None:
    arguments = parsed("--model", model)
    settings = training_settings(arguments)
    assert model_settings(arguments) == DEFAULTS[model]
    assert settings.feed.augmentation == AUGMENTATION.get(model, AugmentationSettings())
    plain = training_settings(parsed("--model", "dense"))
    assert plain == TrainingSettings()


def test_what_is_said_arrives() -> None:
    words = "--model attention --inputs audio --dropout 0.4 --epochs 3 --batch 5 --patience 0 --shuffle-window 2"
    words += (
        " --learning-rate 0.5 --scale-learning-rate sqrt --warm-up 1.5 --decay cosine --optimizer sgd --momentum 0.8"
    )
    words += " --clip-norm 2 --precision mixed --class-weights sqrt --label-smoothing 0.1 --seed 9"
    words += " --mixup 0.3 --time-masks 0 --crop 0.2 --transpose 1"
    arguments = parsed(*words.split())
    sizes, settings = model_settings(arguments), training_settings(arguments)
    assert (sizes.inputs, sizes.dropout, sizes.filters) == ("audio", 0.4, DEFAULTS["attention"].filters)
    assert (settings.epochs, settings.batch, settings.patience, settings.shuffle_window, settings.seed) == (
        3,
        5,
        0,
        2,
        9,
    )
    schedule, optimizer, feed = settings.schedule, settings.optimizer, settings.feed
    assert (schedule.learning_rate, schedule.scaling, schedule.warm_up, schedule.decay) == (0.5, "sqrt", 1.5, "cosine")
    assert (optimizer.name, optimizer.momentum, optimizer.clip_norm) == ("sgd", 0.8, 2.0)
    assert optimizer.dtype_policy == "mixed_float16"
    assert (feed.class_weights, feed.label_smoothing) == ("sqrt", 0.1)
    made = feed.augmentation
    assert (made.mixup, made.time_masks, made.crop, made.transpose) == (0.3, 0, 0.2, 1)
    assert made.coefficient_masks == AUGMENTATION["attention"].coefficient_masks


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--target factors --class-weights balanced", "factors have none"),
        ("--target factors --label-smoothing 0.1", "factors have none"),
        ("--label-smoothing 1", "--label-smoothing is a share from 0 to below 1, not 1.0"),
        ("--learning-rate 0", "a learning rate is above 0"),
        ("--batch 0", "epochs and batch are at least 1"),
        ("--epochs -1", "epochs and batch are at least 1"),
        ("--crop 1", "crop is below 1"),
        ("--mixup -1", "mixup is not below 0"),
    ],
)
def test_what_makes_no_sense_is_refused(words: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        training_settings(parsed(*words.split()))


def test_a_dropout_that_is_no_share_is_refused() -> None:
    with pytest.raises(UserError, match=r"--dropout is a share from 0 to below 1, not 1\.0"):
        model_settings(parsed("--dropout", "1"))


def test_options_are_known_before_any_engine_has_started() -> None:
    script = (
        "import sys, training.loop.options; print(*{'tensorflow', 'keras', 'horovod', 'pyspark'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
