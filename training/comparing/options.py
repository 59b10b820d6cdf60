"""The options of ``msd-spark compare``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msd_spark.core.data_folder import DEFAULT_DATA
from msd_spark.core.options import (
    NAME,
    PREFIX,
    Check,
    OptionError,
    Settings,
    at_least,
    nested,
    option,
    warehouse_option,
)
from msd_spark.core.schemas import SPLITS
from training.loop.options import TrainOptions
from training.loop.settings import CheckpointSettings
from training.models.settings import BOTH, DEFAULTS, INPUTS, WIDE_DEEP

MODELS = sorted(DEFAULTS)

PROTOCOLS = ("year", "tags50", "artist", "cd1", "cd2c")
"""Names of `training.comparing.protocols`."""

FEWEST_SONGS = 20
"""Songs of an artist under the official rule of ``--protocol artist``."""

PROTOCOL_DEFAULTS: dict[str, Any] = {
    "protocol_folder": f"{DEFAULT_DATA}/protocols",
    "protocol_lists": (),
    "protocol_songs": FEWEST_SONGS,
}
"""Defaults of the options that belong to ``--protocol``."""

ON_TEST = "-on-test"
"""Suffix of --name for runs whose epoch is chosen on test."""

FOLDS_OF_MISTAKES = 5
"""Folds of --mistakes without --folds."""


def listed(text: str, choices: Sequence[str]) -> list[str]:
    """Return the names in a comma-separated list; ``all`` is every choice.

    Examples
    --------
    >>> listed("both,audio", ("audio", "lyrics", "both"))
    ['both', 'audio']
    """
    return list(choices) if text == "all" else [name.strip() for name in text.split(",")]


def _list_of(choices: Sequence[str]) -> Check:
    def accepts(text: str) -> bool:
        names = listed(text, choices)
        return set(names) <= set(choices) and len(set(names)) == len(names)

    return Check(accepts, f"all, or different names separated by commas: {', '.join(choices)}")


@dataclass(frozen=True)
class ComparedTraining(TrainOptions):
    """Options of every training of a comparison, whose models are those of `CompareOptions`."""

    @property
    def models(self) -> tuple[str, ...]:
        """No models: `CompareOptions` checks them."""
        return ()


@dataclass(frozen=True)
class CompareOptions(Settings):
    """Options of ``msd-spark compare``; those of the trainings are `training`."""

    warehouse: str = warehouse_option()
    dataset: str | None = option(
        None, "dataset/NAME of the warehouse; the only one by default", metavar="NAME", check=NAME
    )
    name: str = option(
        "comparison",
        "write comparisons/NAME and the runs models/NAME-MODEL-INPUTS-SEED (or -rREPEAT-fFOLD)",
        metavar="NAME",
        check=PREFIX,
    )
    models: str | None = option(
        None,
        f"models to compare: all (the default), or a list of {','.join(MODELS)}; with --mistakes at most one",
        metavar="LIST",
        check=_list_of(MODELS),
    )
    inputs: str | None = option(
        None,
        f"inputs to compare: all (the default), or a list of {','.join(INPUTS)}; with --mistakes {BOTH} by default",
        metavar="LIST",
        check=_list_of(INPUTS),
    )
    seeds: int = option(5, "seeds per model and inputs: 0 to N - 1; without --folds", metavar="N", check=at_least(1))
    folds: int = option(
        0,
        "evaluate every labelled song once, in K artist-disjoint folds, instead of the split",
        metavar="K",
        check=Check(lambda folds: folds == 0 or folds >= 2, "0, or 2 or more"),
    )
    repeats: int = option(1, "repeat --folds with seeds 0 to R - 1", metavar="R", check=at_least(1))
    mistakes: bool = option(
        False,
        "measure the effect of popular mistakes on the same songs, in 5 folds by default: with logistic regression, "
        "and with the network of --models the choice of the epoch",
    )
    protocol: str | None = option(
        None,
        "evaluate baselines on songs/ under an official protocol, next to published values; no model is trained",
        choices=PROTOCOLS,
    )
    protocol_folder: str = option(
        PROTOCOL_DEFAULTS["protocol_folder"],
        "folder of the official lists of --protocol, under their official names",
        metavar="DIR",
    )
    protocol_lists: tuple[str, ...] = option(
        (),
        "files to use instead: TRAIN TEST, or TRAIN VALIDATION TEST, with one track, song or artist id per line",
        metavar="FILE",
    )
    protocol_songs: int = option(
        FEWEST_SONGS,
        f"with --protocol artist: fewest songs of an artist; fewer than {FEWEST_SONGS} are for small warehouses",
        metavar="N",
        check=at_least(3),
    )
    split: str = option(SPLITS[-1], "split to evaluate on", choices=SPLITS[1:])
    reference: str | None = option(
        None,
        f"model that the others are compared with; by default {WIDE_DEEP} if compared, otherwise the first of --models",
        choices=MODELS,
    )
    training: ComparedTraining = nested(
        ComparedTraining(baselines="simple", checkpoints=CheckpointSettings(keep=False)),
        without={
            "warehouse": "",
            "dataset": "",
            "inputs": "",
            "model": "use --models",
            "seed": "use --seeds",
            "run": "use --name",
            "resume": "run the same command again to resume",
            "elastic": "start with a fixed number of ranks",
            "protocol": "",
            "protocol-rows": "use msd-spark train",
            "protocol-short": "use msd-spark train",
            "protocol-models": "use msd-spark train",
        },
    )

    @property
    def model_names(self) -> list[str]:
        """The networks to train."""
        return [] if self.mistakes and self.models is None else listed(self.models or "all", MODELS)

    @property
    def input_names(self) -> list[str]:
        """The inputs to train on."""
        return listed(self.inputs or (BOTH if self.mistakes else "all"), INPUTS)

    @property
    def n_folds(self) -> int:
        """The number of folds; 0 for the splits of the dataset."""
        return self.folds or (FOLDS_OF_MISTAKES if self.mistakes else 0)

    @property
    def compared_with(self) -> str:
        """The model that the others are compared with."""
        models = self.model_names
        return self.reference or (WIDE_DEEP if WIDE_DEEP in models else models[0])

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol is None:
            given = [name for name, default in PROTOCOL_DEFAULTS.items() if getattr(self, name) != default]
            if given:
                raise OptionError(f"--{given[0].replace('_', '-')} needs --protocol")
        elif self.models or self.inputs or self.n_folds or self.reference:
            raise OptionError(
                "--protocol evaluates baselines; it takes no --models, --inputs, --reference, --folds or --mistakes"
            )
        if self.protocol_songs != FEWEST_SONGS and self.protocol != "artist":
            raise OptionError("--protocol-songs needs --protocol artist")
        self.training.check_models(self.model_names)
        if self.repeats > 1 and not self.n_folds:
            raise OptionError("--repeats needs --folds")
        if self.mistakes and (len(self.model_names) > 1 or self.reference):
            raise OptionError("--mistakes takes one of --models, and no --reference")
        if self.mistakes and len(self.name.encode()) > 50 - len(ON_TEST):
            raise OptionError(f"--name is {self.name!r}; allowed with --mistakes: at most {50 - len(ON_TEST)} bytes")
        if self.n_folds and self.split != SPLITS[-1]:
            raise OptionError(f"--{'folds' if self.folds else 'mistakes'} and --split exclude each other")
