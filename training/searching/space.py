"""What a search may choose from: ranges and choices, declared here and nowhere else. No engine is imported.

A choice becomes words of ``training/train.py``'s command line, so that a trial trains what that command would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from training.loop.optimizers import OPTIMIZERS
from training.models.settings import DEFAULTS

WIDTH_OPTION = {"attention": "filters", "cnn": "filters", "dense": "hidden", "lstm": "units"}
"""Which of a model's sizes is searched, by model; the others have none that matters."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes
    ----------
    low, high : float
    logarithmic : bool
        Every factor is as likely as every other, rather than every difference.
    """

    low: float
    high: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        """Refuse what holds no number."""
        if self.low > self.high or (self.logarithmic and self.low <= 0):
            above = ", and above 0" if self.logarithmic else ""
            raise ValueError(f"a range goes from low to high{above}, not from {self.low} to {self.high}")


class Trial(Protocol):
    """What of Optuna's trial is used."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float:
        """Return a number."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of the choices."""


@dataclass(frozen=True)
class SearchSpace:
    """What a search may choose from.

    Attributes
    ----------
    learning_rate : Range
    batch : tuple of int
        Examples a rank takes a step.
    dropout : Range
    optimizer : tuple of str
    widths : tuple of float
        Factors on the model's own sizes: filters of the convolutions, units of recurrent layers, or hidden units;
        see `WIDTH_OPTION`.
    """

    learning_rate: Range = field(default_factory=lambda: Range(1e-4, 3e-2, logarithmic=True))
    batch: tuple[int, ...] = (16, 32, 64)
    dropout: Range = field(default_factory=lambda: Range(0.0, 0.5))
    optimizer: tuple[str, ...] = OPTIMIZERS
    widths: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5)

    def __post_init__(self) -> None:
        """Refuse what no model can be trained with."""
        if not (self.batch and self.optimizer and self.widths):
            raise ValueError("there is nothing to choose from")
        if min(self.batch) < 1 or min(self.widths) <= 0:
            raise ValueError("batches are at least 1, and factors of widths above 0")
        if not 0 <= self.dropout.low <= self.dropout.high < 1:
            raise ValueError(f"dropout lies from 0 to below 1, not from {self.dropout.low} to {self.dropout.high}")
        wrong = [name for name in self.optimizer if name not in OPTIMIZERS]
        if wrong:
            raise ValueError(f"optimizers are {', '.join(OPTIMIZERS)}; {wrong[0]} is none")

    def sizes(self, model: str) -> list[str]:
        """Return the sizes to choose from, each a number a layer; none for a model without.

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
        """Return a choice for a model, by the name of its option.

        Parameters
        ----------
        trial : optuna.trial.Trial
        model : str
        """
        rate, dropout = self.learning_rate, self.dropout
        chosen: dict[str, Any] = {
            "learning-rate": trial.suggest_float("learning-rate", rate.low, rate.high, log=rate.logarithmic),
            "batch": trial.suggest_categorical("batch", self.batch),
            "optimizer": trial.suggest_categorical("optimizer", self.optimizer),
        }
        if model in WIDTH_OPTION:
            chosen["dropout"] = trial.suggest_float("dropout", dropout.low, dropout.high, log=dropout.logarithmic)
            chosen[WIDTH_OPTION[model]] = trial.suggest_categorical(WIDTH_OPTION[model], self.sizes(model))
        return chosen


def option_words(chosen: Mapping[str, Any]) -> list[str]:
    """Return a choice as words of a command line.

    Examples
    --------
    >>> option_words({"learning-rate": 0.001, "batch": 32, "filters": "32 32 64"})
    ['--learning-rate', '0.001', '--batch', '32', '--filters', '32', '32', '64']
    """
    return [word for name, value in chosen.items() for word in (f"--{name}", *str(value).split())]
