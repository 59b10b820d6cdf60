#!/usr/bin/env python
"""Search for settings that train well: ``training/search.py --warehouse W --model cnn --trials 20``.

Options that are not listed here are those of ``training/train.py`` and hold for every trial. Trials are judged on the
validation split alone. The same command goes on where it was stopped. Under ``horovodrun`` the ranks share every trial.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from training.loop.optimizers import OPTIMIZERS
from training.loop.session import join_ranks, parsed
from training.models.settings import BOTH, DEFAULTS, INPUTS
from training.searching.space import Range, SearchSpace
from training.searching.study import SEARCHES, SearchSettings, Study

OURS = (
    "learning-rate",
    "batch",
    "dropout",
    "optimizer",
    "filters",
    "units",
    "hidden",
    "run",
    "resume",
    "elastic",
    "protocol",
)
"""Options of a training that a search sets itself."""


def parse_arguments(words: Sequence[str] | None = None) -> tuple[argparse.Namespace, SearchSettings]:
    """Return the arguments of the command line, and the settings they stand for.

    Raises
    ------
    UserError
        When an option is wrong, those of the trainings included.
    """
    parser, space = job_parser(__doc__), SearchSpace()
    parser.allow_abbrev = False  # --batch would otherwise be taken for --batches
    add = parser.add_argument
    add("--dataset", default="genre", metavar="NAME", help="dataset/NAME of the warehouse")
    add("--name", metavar="NAME", help="written to searches/NAME; made of model and inputs when left out")
    add("--model", default="cnn", choices=sorted(DEFAULTS), help="which model")
    add("--inputs", default=BOTH, choices=INPUTS, help="what it looks at")
    add("--trials", type=int, default=20, metavar="N", help="trials in all, those of earlier calls included")
    add("--timeout", type=float, metavar="SECONDS", help="no trial begins after so many seconds of this call")
    add("--seed", type=int, default=0, help="of the choices and of every training")
    add(
        "--figure",
        metavar="NAME",
        help="the validation figure that decides, or loss; the target's main one if left out",
    )
    add("--study", metavar="FILE", help="SQLite file of the study; in searches/NAME of a local warehouse if left out")
    add("--no-pruning", action="store_true", help="train every trial to its end")
    choose = parser.add_argument_group("what is chosen from").add_argument
    rate, dropout = space.learning_rate, space.dropout
    choose(
        "--learning-rates", type=float, nargs=2, default=(rate.low, rate.high), metavar=("LOW", "HIGH"), help="range"
    )
    choose("--batches", type=int, nargs="+", default=space.batch, metavar="N", help="examples a rank takes a step")
    choose(
        "--dropouts", type=float, nargs=2, default=(dropout.low, dropout.high), metavar=("LOW", "HIGH"), help="range"
    )
    choose("--optimizers", nargs="+", default=space.optimizer, choices=OPTIMIZERS, help="optimizers")
    choose("--widths", type=float, nargs="+", default=space.widths, metavar="FACTOR", help="on the model's own sizes")
    arguments, others = parser.parse_known_args(words)
    for word in others:
        name = word.removeprefix("--").split("=")[0]
        if word.startswith("--") and name in OURS:
            raise UserError(f"--{name} is the search's to set; see --learning-rates, --widths and the like")
    (low, high), (least, most) = arguments.learning_rates, arguments.dropouts
    try:
        space = SearchSpace(
            Range(low, high, logarithmic=True),
            tuple(arguments.batches),
            Range(least, most),
            tuple(arguments.optimizers),
            tuple(arguments.widths),
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    if arguments.trials < 1:
        raise UserError(f"--trials is at least 1, not {arguments.trials}")
    own = ["--dataset", arguments.dataset, "--model", arguments.model, "--inputs", arguments.inputs]
    fixed = [*own, *others, "--seed", str(arguments.seed)]
    settings = SearchSettings(
        arguments.name or f"{arguments.model}-{arguments.inputs}",
        arguments.model,
        tuple(fixed),
        space,
        parsed(fixed).target,
        arguments.figure,
        arguments.seed,
        not arguments.no_pruning,
    )
    return arguments, settings


def study_file(warehouse: Warehouse, arguments: argparse.Namespace, name: str) -> str:
    """Return where the study is kept.

    Raises
    ------
    UserError
        When the warehouse is remote and no file is named: SQLite needs a local one.
    """
    if arguments.study:
        return str(arguments.study)
    if not warehouse.is_local:
        raise UserError("a study is an SQLite file, which must be local; name one with --study FILE")
    return warehouse.path(SEARCHES, name, "study.db")


def main() -> None:
    """Search, then write and print what was found."""
    arguments, settings = parse_arguments()
    warehouse = Warehouse(arguments.warehouse)
    path = study_file(warehouse, arguments, settings.name)
    ranks = join_ranks()
    from training.data.dataset import Dataset
    from training.searching.results import best_command, search_table, write_results
    from training.searching.trials import run_trials

    dataset = Dataset.open(warehouse, arguments.dataset)
    if not sum(dataset.rows("validation")):
        raise UserError(f"validation of dataset {dataset.name} is empty; trials are judged by it")
    known = {"fingerprint": dataset.metadata["fingerprint"], "ranks": ranks.size, "settings": asdict(settings)}
    opened: list[Study] = []
    ranks.first_does(lambda: opened.append(Study.open(path, settings, known)))
    study = opened[0] if opened else None
    run_trials(study, dataset, settings, ranks, arguments.trials, arguments.timeout)
    if study is None:
        return
    command = best_command(study, settings, arguments.warehouse, ranks.size)
    folder = write_results(warehouse, study, settings, command)
    print(f"\n{search_table(study, settings)}")
    print(f"\nbest: {shlex.join(command)}" if command else "\nno trial was trained to its end")
    print(f"\nwritten: {folder}", flush=True)


if __name__ == "__main__":
    exit_with(main)
