"""The hyperparameters that a search chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msd_spark.core.options import MOST_BATCH, Check, OptionError, Settings, above, between, option
from training.loop.optimizers import OPTIMIZERS
from training.loop.options import TrainOptions
from training.models.settings import DEFAULTS, WIDE_DEEP

if TYPE_CHECKING:
    from optuna import Trial

WIDTH_OPTION = {"attention": "filters", "cnn": "filters", "dense": "hidden", "lstm": "units", WIDE_DEEP: "hidden"}
"""Option with the layer sizes to search, by model; ``logistic`` has none."""


@dataclass(frozen=True)
class SearchSpace(Settings):
    """Ranges and values to choose from."""

    learning_rates: tuple[float, float] = option(
        (1e-4, 3e-2), "lowest and highest learning rate, chosen on a logarithmic scale", metavar="RATE", check=above(0)
    )
    batch_sizes: tuple[int, ...] = option(
        (16, 32, 64),
        "batch sizes to choose from, in examples per rank per step",
        metavar="N",
        check=between(1, MOST_BATCH),
    )
    dropouts: tuple[float, float] = option(
        (0.0, 0.5),
        "lowest and highest dropout, in all models but logistic",
        metavar="SHARE",
        check=Check(lambda value: 0 <= value < 1, "0 to below 1"),
    )
    optimizers: tuple[str, ...] = option(OPTIMIZERS, "optimizers to choose from", choices=OPTIMIZERS)
    widths: tuple[float, ...] = option(
        (0.25, 0.5, 1.0, 1.5),
        "factors by which the model's default layer sizes are multiplied, in all models but logistic",
        metavar="FACTOR",
        check=above(0),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch-sizes", "optimizers", "widths"):
            if not getattr(self, name.replace("-", "_")):
                raise OptionError(f"--{name} is empty; name at least one value")
        for name in ("learning-rates", "dropouts"):
            low, high = getattr(self, name.replace("-", "_"))
            if low > high:
                raise OptionError(f"--{name} is {low} {high}; the first value is the lowest")

    def sizes(self, model: str) -> list[str]:
        """Return the layer sizes to choose from, one number per layer.

        Empty for a model without them.

        Examples
        --------
        >>> SearchSpace(widths=(0.25, 1)).sizes("cnn")
        ['32 32 64', '128 128 256']
        """
        if model not in WIDTH_OPTION:
            return []
        own = getattr(DEFAULTS[model], WIDTH_OPTION[model])
        return [" ".join(str(max(1, round(size * factor))) for size in own) for factor in self.widths]

    def suggest(self, trial: Trial, model: str) -> dict[str, Any]:
        """Return the choice of a trial, by the name of the option of ``msd-spark train``."""
        chosen: dict[str, Any] = {
            "learning-rate": trial.suggest_float("learning-rate", *self.learning_rates, log=True),
            "batch-size": trial.suggest_categorical("batch-size", self.batch_sizes),
            "optimizer": trial.suggest_categorical("optimizer", self.optimizers),
        }
        if model in WIDTH_OPTION:
            chosen["dropout"] = trial.suggest_float("dropout", *self.dropouts)
            chosen[WIDTH_OPTION[model]] = trial.suggest_categorical(WIDTH_OPTION[model], self.sizes(model))
        return chosen


def with_choice(options: TrainOptions, chosen: Mapping[str, Any]) -> TrainOptions:
    """Return the options of a training with the choice of a trial."""
    model, training = options.model, options.training
    if model.name in WIDTH_OPTION:
        width = WIDTH_OPTION[model.name]
        sizes: dict[str, Any] = {width: tuple(int(size) for size in chosen[width].split())}
        model = replace(model, dropout=chosen["dropout"], **sizes)
    training = replace(
        training,
        batch_size=chosen["batch-size"],
        schedule=replace(training.schedule, learning_rate=chosen["learning-rate"]),
        optimizer=replace(training.optimizer, name=chosen["optimizer"]),
    )
    return replace(options, model=model, training=training)
