"""The options of ``training/train.py``, and the settings that they stand for.

No engine is imported here: a wrong option is refused before TensorFlow has started.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from msd_spark.core.errors import UserError
from training.data.augmentation import AugmentationSettings
from training.data.feed import FeedSettings
from training.data.targets import FACTORS, GENRE, TARGETS
from training.data.truth import CLASS_WEIGHTS, NONE
from training.evaluation.baselines import BASELINES
from training.evaluation.deciding import BEST_BY
from training.loop.journal import CheckpointSettings
from training.loop.optimizers import OPTIMIZERS, PRECISIONS, OptimizerSettings
from training.loop.schedule import DECAYS, SCALINGS, Schedule
from training.loop.settings import TrainingSettings
from training.models.settings import AUGMENTATION, DEFAULTS, INPUTS, ModelSettings
from training.protocol_2019.options import add_protocol

OF_THE_MODEL = "the model's own"
"""What an option stands at where each model has its own."""

SIZES = {
    "filters": "of each convolution of a stream",
    "units": "of each recurrent layer of a stream",
    "hidden": "units of each dense layer before the embedding",
}
"""Options that say how large the layers of a model are, a number a layer."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a training."""
    _add_run(parser)
    add_protocol(parser)
    _add_model(parser.add_argument_group("model"))
    _add_training(parser.add_argument_group("training"))
    _add_augmentation(parser.add_argument_group("augmentation of training examples"))
    _add_checkpoints(parser.add_argument_group("checkpoints"))


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dataset", default="genre", metavar="NAME", help="dataset/NAME of the warehouse")
    add("--target", default=GENRE, choices=TARGETS, help="what is learned; the dataset must have it")
    add("--run", metavar="NAME", help="the run is written to models/NAME; made of model and time when left out")
    add("--overwrite", action="store_true", help="begin anew, and replace a run of the same name once this one is done")
    add("--seed", type=int, default=0, help="of weights, dropout, augmentation, reading order and bootstrap")
    add(
        "--baselines",
        default=BASELINES[-1],
        choices=BASELINES,
        help="judged beside the model: those that know the shares of the train split alone, or a linear model as well",
    )


def _add_model(parser: argparse._ArgumentGroup) -> None:
    add = parser.add_argument
    add("--model", default="cnn", choices=sorted(DEFAULTS), help="which model")
    add("--inputs", default="both", choices=INPUTS, help="what it looks at")
    add(
        "--dropout",
        type=float,
        metavar="SHARE",
        default=argparse.SUPPRESS,
        help=f"units dropped before dense layers (default: {OF_THE_MODEL})",
    )
    for name, text in SIZES.items():
        add(
            f"--{name}",
            type=int,
            nargs="+",
            metavar="N",
            default=argparse.SUPPRESS,
            help=f"{text} (default: {OF_THE_MODEL})",
        )


def _add_training(parser: argparse._ArgumentGroup) -> None:
    add = parser.add_argument
    training, schedule, optimizer = TrainingSettings(), Schedule(), OptimizerSettings()
    add("--epochs", type=int, default=training.epochs, help="epochs at most")
    add("--batch", type=int, default=training.batch, help="examples a rank takes a step")
    add(
        "--patience",
        type=int,
        default=training.patience,
        help="epochs without a better one before training stops; 0: never",
    )
    add(
        "--best-by",
        default=training.best_by,
        choices=BEST_BY,
        help="what says which epoch is the best: the target's main figure on the validation split, or the loss there",
    )
    add(
        "--shuffle-window",
        type=int,
        default=training.shuffle_window,
        help="row groups within which examples are shuffled; 0: in order",
    )
    add("--learning-rate", type=float, default=schedule.learning_rate, help="at the top, on one rank")
    add(
        "--scale-learning-rate",
        default=schedule.scaling,
        choices=SCALINGS,
        help="how the rate grows with the ranks; none: 2 ranks with half the batch train as 1 rank with all of it",
    )
    add("--warm-up", type=float, default=schedule.warm_up, metavar="EPOCHS", help="in which the rate climbs to the top")
    add("--decay", default=schedule.decay, choices=DECAYS, help="how the rate falls after that, to the last epoch")
    add("--optimizer", default=optimizer.name, choices=OPTIMIZERS, help="which optimizer")
    add("--momentum", type=float, default=optimizer.momentum, help="of sgd")
    add("--weight-decay", type=float, default=optimizer.weight_decay, help="of adamw")
    add(
        "--clip-norm",
        type=float,
        default=optimizer.clip_norm,
        help="greatest length of the gradient over all ranks; 0: any",
    )
    add(
        "--precision",
        default=optimizer.precision,
        choices=PRECISIONS,
        help="mixed: layers compute in float16, with loss scaling; for GPUs. The written model is float32",
    )
    add("--class-weights", default=NONE, choices=CLASS_WEIGHTS, help="how rare classes are weighed up")
    add("--label-smoothing", type=float, default=0.0, metavar="SHARE", help="of the truth, spread over all classes")


def _add_checkpoints(parser: argparse._ArgumentGroup) -> None:
    add, checkpoints = parser.add_argument, CheckpointSettings()
    add("--resume", action="store_true", help="go on from the last checkpoint of --run; begin where there is none yet")
    add("--checkpoint-every", type=int, default=checkpoints.every, metavar="EPOCHS", help="0: no checkpoints")
    add("--checkpoint-steps", type=int, default=checkpoints.steps, metavar="STEPS", help="within an epoch, too; 0: not")
    add("--keep-checkpoints", action="store_true", help="in the finished run's folder; they are removed otherwise")
    add(
        "--elastic",
        action="store_true",
        help="ranks may be lost and join while it trains; start it with horovodrun --min-np and --max-np",
    )


def checkpoint_settings(arguments: argparse.Namespace) -> CheckpointSettings:
    """Return when checkpoints are written.

    Raises
    ------
    UserError
        When the options about going on do not fit together.
    """
    for option in ("resume", "elastic"):
        if getattr(arguments, option) and not arguments.run:
            raise UserError(f"--{option} needs --run NAME")
    if arguments.resume and arguments.overwrite:
        raise UserError("--resume goes on and --overwrite begins anew; say one of them")
    try:
        return CheckpointSettings(arguments.checkpoint_every, arguments.checkpoint_steps, arguments.keep_checkpoints)
    except ValueError as error:
        raise UserError(str(error)) from error


def _add_augmentation(parser: argparse._ArgumentGroup) -> None:
    def add(name: str, kind: type, metavar: str, text: str) -> None:
        help_text = f"{text} (default: {OF_THE_MODEL})"
        parser.add_argument(name, type=kind, metavar=metavar, default=argparse.SUPPRESS, help=help_text)

    add("--crop", float, "SHARE", "cut at most this share of a song away at its ends")
    add("--time-masks", int, "N", "spans of segments that are masked")
    add("--time-share", float, "SHARE", "of a song that one span covers at most")
    add("--coefficient-masks", int, "N", "coefficients of chroma, and of timbre, that are masked at most")
    add("--transpose", int, "SEMITONES", "turn chroma by at most so many, up or down")
    add("--lyric-dropout", float, "SHARE", "of the examples with lyrics, take them away")
    add("--mixup", float, "ALPHA", "mix examples in parts drawn from Beta(ALPHA, ALPHA)")


def model_settings(arguments: argparse.Namespace) -> ModelSettings:
    """Return the model's settings.

    Raises
    ------
    UserError
        When a value is out of its range.
    """
    chosen = _given(arguments, "inputs", "dropout")
    if not 0 <= chosen.get("dropout", 0.0) < 1:
        raise UserError(f"--dropout is a share from 0 to below 1, not {chosen['dropout']}")
    default = DEFAULTS[arguments.model]
    sizes: dict[str, Any] = {name: tuple(values) for name, values in _given(arguments, *SIZES).items()}
    for name, values in sizes.items():
        if min(values) < 1:
            raise UserError(f"--{name} are at least 1 each, not {' '.join(map(str, values))}")
    layers = len(sizes.get("filters", default.filters))
    if layers != len(default.pools):
        raise UserError(f"--filters: {arguments.model} has {len(default.pools)} convolutions a stream, not {layers}")
    return replace(default, **chosen, **sizes)


def training_settings(arguments: argparse.Namespace) -> TrainingSettings:
    """Return how the model is trained.

    Raises
    ------
    UserError
        When a value is out of its range, or an option has no meaning for the target.
    """
    if arguments.target == FACTORS and (arguments.class_weights != NONE or arguments.label_smoothing):
        raise UserError("--class-weights and --label-smoothing are for classes; factors have none")
    if not 0 <= arguments.label_smoothing < 1:
        raise UserError(f"--label-smoothing is a share from 0 to below 1, not {arguments.label_smoothing}")
    changed = _given(
        arguments,
        *("crop", "time_masks", "time_share", "coefficient_masks", "transpose", "lyric_dropout", "mixup"),
    )
    try:
        augmentation = replace(AUGMENTATION.get(arguments.model, AugmentationSettings()), **changed)
        return TrainingSettings(
            epochs=arguments.epochs,
            batch=arguments.batch,
            patience=arguments.patience,
            best_by=arguments.best_by,
            shuffle_window=arguments.shuffle_window,
            seed=arguments.seed,
            schedule=Schedule(
                arguments.learning_rate, arguments.scale_learning_rate, arguments.warm_up, arguments.decay
            ),
            optimizer=OptimizerSettings(
                arguments.optimizer,
                arguments.momentum,
                arguments.weight_decay,
                arguments.clip_norm,
                arguments.precision,
            ),
            feed=FeedSettings(arguments.class_weights, arguments.label_smoothing, augmentation),
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options that were given, by name."""
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
