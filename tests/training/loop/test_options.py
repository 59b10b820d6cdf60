from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from msd_spark.core.command_line import parse
from msd_spark.core.options import OptionError, declared_options
from msd_spark.core.verbs import VERBS
from tests.conftest import REPOSITORY
from training.data.augmentation import AugmentationSettings
from training.loop.options import TrainOptions
from training.models.settings import AUGMENTATION, DEFAULTS, NO_AUGMENTATION


def parsed(words: str = "") -> TrainOptions:
    return parse(TrainOptions, words.split(), VERBS["train"])


@pytest.mark.parametrize("model", sorted(DEFAULTS))
def test_a_bare_command_has_the_defaults_of_its_model(model: str) -> None:
    options = parsed(f"--model {model}")
    assert options.model_settings() == DEFAULTS[model]
    expected = AugmentationSettings(**(NO_AUGMENTATION | AUGMENTATION.get(model, {})))
    assert options.training_settings().feed.augmentation == expected
    assert dataclasses.replace(options, model=TrainOptions().model) == TrainOptions()


def test_every_option_reaches_its_setting() -> None:
    words = "--model attention --inputs audio --dropout 0.4 --epochs 3 --batch-size 5 --patience 0 --shuffle-window 2"
    words += " --learning-rate 0.5 --scale-learning-rate sqrt --warm-up 1.5 --decay cosine"
    words += " --optimizer sgd --momentum 0.8 --clip-norm 2 --precision float16"
    words += " --class-weights sqrt --label-smoothing 0.1 --seed 9 --mixup 0.3 --time-masks 0 --crop 0.2 --transpose 1"
    words += " --checkpoint-every 2 --checkpoint-steps 7 --no-keep-checkpoints --streams 8 --train-metrics"
    words += " --steps-per-epoch 50"
    options = parsed(words)
    sizes, settings = options.model_settings(), options.training_settings()
    assert (sizes.inputs, sizes.dropout, sizes.filters) == ("audio", 0.4, DEFAULTS["attention"].filters)
    assert (settings.epochs, settings.batch_size, settings.patience) == (3, 5, 0)
    assert (settings.shuffle_window, settings.seed) == (2, 9)
    assert (settings.streams, settings.steps_per_epoch, settings.train_metrics) == (8, 50, True)
    schedule, optimizer, feed = settings.schedule, settings.optimizer, settings.feed
    assert (schedule.learning_rate, schedule.scaling, schedule.warm_up, schedule.decay) == (0.5, "sqrt", 1.5, "cosine")
    assert (optimizer.name, optimizer.momentum, optimizer.clip_norm) == ("sgd", 0.8, 2.0)
    assert optimizer.dtype_policy == "mixed_float16"
    assert (feed.class_weights, feed.label_smoothing) == ("sqrt", 0.1)
    chosen = feed.augmentation
    assert (chosen.mixup, chosen.time_masks, chosen.crop, chosen.transpose) == (0.3, 0, 0.2, 1)
    assert chosen.coefficient_masks == AUGMENTATION["attention"]["coefficient_masks"]
    assert parsed("--model lstm --units 6 4").model_settings().units == (6, 4)
    checkpoints = options.checkpoints
    assert (checkpoints.every, checkpoints.steps, checkpoints.keep) == (2, 7, False)


def test_the_loss_and_the_best_epoch_are_the_models_own_unless_chosen() -> None:
    found = {
        words: (settings.feed.prior_adjustment, settings.best_by)
        for words in (
            "--model cnn",
            "",
            "--protocol 2019",
            "--target tags",
            "--prior-adjustment 0.5 --best-by loss",
        )
        for settings in [parsed(words).training_settings()]
    }
    assert list(found.values()) == [(0, "metric"), (1, "loss"), (0, "loss"), (0, "loss"), (0.5, "loss")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--target tags --prior-adjustment 1", "--target tags has none"),
        ("--also genre", "--also is genre, as --target; choose another target, or none"),
        ("--also tags --also-weight 0", "--also-weight is 0.0; allowed: greater than 0"),
        ("--target factors --contrastive 0.1", "--contrastive is for classes and tags; --target factors has none"),
        ("--model cnn --mixup 0.2 --also tags --also-weight 2", "--mixup excludes --also and --contrastive"),
        ("--target tags --sampled-softmax 9", "--sampled-softmax is for one class per song; --target tags has none"),
        ("--sampled-softmax 9 --contrastive 0.1", "--sampled-softmax excludes --contrastive, --label-smoothing and"),
        ("--model cnn --sampled-softmax 9 --label-smoothing 0.1", "--sampled-softmax excludes --contrastive, --label-"),
        ("--protocol 2019 --init-from one", "--protocol and --init-from exclude each other"),
        (
            "--mixup 0.2",
            "--mixup cannot mix bags of words, which wide_deep uses; leave --mixup out, or choose another model",
        ),
        ("--units 4 4", "--units has no effect on wide_deep; leave it out, or choose one of lstm"),
        ("--model logistic --dropout 0", "--dropout has no effect on logistic; .*one of attention, cnn, dense, lstm"),
        ("--contrastive inf", "--contrastive is inf; allowed: 0 to 1000"),
        ("--protocol 2019 --units 4 4", "--units has no effect on cnn; "),
        ("--model logistic --dropout 0.1", "--dropout has no effect on logistic; .*one of attention, cnn, dense, lstm"),
        ("--target factors --class-weights balanced", "factors has none"),
        ("--target factors --label-smoothing 0.1", "factors has none"),
        ("--label-smoothing 1", r"--label-smoothing is 1\.0; allowed: 0 to below 1"),
        ("--learning-rate 0", r"--learning-rate is 0\.0; allowed: a number above 0"),
        ("--learning-rate inf", "--learning-rate is inf; allowed: a number above 0"),
        ("--warm-up -1", r"--warm-up is -1\.0; allowed: 0 or more"),
        ("--batch-size 0", "--batch-size is 0; allowed: 1 to 65536"),
        ("--batch-size 4 --global-batch-size 8", "--batch-size excludes --global-batch-size; choose the latter"),
        ("--scale-learning-rate sqrt --global-batch-size 8", "excludes --global-batch-size; use --learning-rate"),
        ("--epochs -1", "--epochs is -1; allowed: 1 or more"),
        ("--crop 1", r"--crop is 1\.0; allowed: 0 to below 1"),
        ("--mixup -1", r"--mixup is -1\.0; allowed: 0 or more"),
        ("--dropout 1", r"--dropout is 1\.0; allowed: 0 to below 1"),
        ("--hidden 8 0", "--hidden is 0; allowed: 1 to 16384"),
        ("--checkpoint-every -1", "--checkpoint-every is -1; allowed: 0 or more"),
        ("--resume", "--resume needs --run NAME"),
        ("--elastic", "--elastic needs --run NAME"),
        ("--run one --resume --overwrite", "--resume and --overwrite exclude each other"),
    ],
)
def test_an_invalid_value_is_rejected(words: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parsed(words)


def test_a_protocol_has_defaults_that_some_of_its_models_ignore() -> None:
    (options,) = parsed("--protocol 2019 --model logistic --run one").runs()
    assert (options.model.dropout, options.training.global_batch_size) == (None, 10)


def test_a_wrong_number_of_convolutions_is_rejected() -> None:
    with pytest.raises(OptionError, match="--filters has 2 values; allowed: 3, one for each convolution of cnn"):
        parsed("--model cnn --filters 4 4").model_settings()
    assert parsed("--model attention --filters 4 4").model_settings().filters == (4, 4)


def test_a_further_model_of_a_protocol_has_only_the_sizes_that_change_it() -> None:
    words = "--protocol 2019 --run r --protocol-models dense lstm --filters 4 4 8 --units 3 3"
    sizes = [(one.model.name, one.model.filters, one.model.units) for one in parsed(words).runs()]
    assert sizes == [("dense", None, None), ("lstm", None, (3, 3)), ("cnn", (4, 4, 8), None)]


def test_no_option_has_two_names() -> None:
    names = [declared.name for declared in declared_options(TrainOptions)]
    assert len(names) == len(set(names))


def test_options_need_no_engine() -> None:
    script = (
        "import sys, training.loop.options; print(*{'tensorflow', 'keras', 'horovod', 'pyspark'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
