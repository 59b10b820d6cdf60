#!/usr/bin/env python
"""Train models on inputs with several seeds, and print one table: ``training/compare.py --warehouse W --seeds 5``.

Options that are not listed here are those of ``training/train.py`` and hold for every run. Finished runs are not
trained again, so the same command goes on where it was stopped. Under ``horovodrun`` the ranks share every run.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.runs import HISTORY, METADATA, METRICS, RUNS
from msd_spark.core.schemas import SPLITS
from msd_spark.core.warehouse import Warehouse
from training.comparing.comparison import Combination, combinations, parse_list
from training.comparing.table import NOTE, comparison_table, findings, markdown
from training.evaluation.deciding import MAIN_METRICS
from training.loop.checkpoints import differences
from training.loop.options import TrainOptions
from training.loop.session import forget_models, join_ranks, parsed
from training.models.settings import DEFAULTS, INPUTS

if TYPE_CHECKING:
    from training.ranks.ranks import Ranks

COMPARISONS = "comparisons"
"""Folder of the warehouse: ``comparisons/NAME/comparison.json`` and ``.md``, and ``runs/RUN.json`` with times."""

OURS = ("model", "seed", "run", "resume", "elastic", "protocol")
"""Options of a training that a comparison sets itself, or that have no meaning in one."""


@dataclass(frozen=True)
class Run:
    """One run of a comparison.

    Attributes
    ----------
    name : str
    combination : Combination
    seed : int
    arguments : TrainOptions
    """

    name: str
    combination: Combination
    seed: int
    arguments: TrainOptions


def parse_arguments(words: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Return the arguments of the command line, and the words that are options of the trainings."""
    parser = job_parser(__doc__)
    parser.allow_abbrev = False  # --model would otherwise be taken for --models
    add = parser.add_argument
    add("--dataset", default="genre", metavar="NAME", help="dataset/NAME of the warehouse")
    add("--name", default="comparison", help="written to comparisons/NAME; runs are models/NAME-MODEL-INPUTS-SEED")
    add("--models", default="all", metavar="LIST", help=f"all, or of {','.join(sorted(DEFAULTS))}")
    add("--inputs", default="all", metavar="LIST", help=f"all, or of {','.join(INPUTS)}")
    add("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N - 1, each of weights, order and dropout")
    add("--split", default=SPLITS[-1], choices=SPLITS[1:], help="which split is judged")
    add("--reference", default="cnn", choices=sorted(DEFAULTS), help="the model that the others are compared with")
    arguments, others = parser.parse_known_args(words)
    if arguments.seeds < 1:
        raise UserError(f"--seeds is at least 1, not {arguments.seeds}")
    for word in others:
        name = word.removeprefix("--").split("=")[0]
        if word.startswith("--") and name in OURS:
            raise UserError(f"--{name} is the comparison's to set; see --models, --inputs, --seeds and --name")
    return arguments, others


def plan_runs(arguments: argparse.Namespace, others: Sequence[str]) -> list[Run]:
    """Return the runs of a comparison: seed by seed, so that what is there at any time is a fair comparison."""
    models = parse_list("--models", arguments.models, sorted(DEFAULTS))
    inputs = parse_list("--inputs", arguments.inputs, INPUTS)
    runs = []
    for seed in range(arguments.seeds):
        for who in combinations(models, inputs):
            name = f"{arguments.name}-{who}-{seed}"
            words = ["--warehouse", arguments.warehouse, "--dataset", arguments.dataset, "--baselines", "simple"]
            # The comparison's own words come last: they are the ones that count.
            words += [*others, "--model", who.model, "--inputs", who.inputs, "--seed", str(seed), "--run", name]
            runs.append(Run(name, who, seed, parsed(words)))
    return runs


def is_done(warehouse: Warehouse, run: Run, fingerprint: str) -> bool:
    """Return whether a run is finished.

    Raises
    ------
    UserError
        When it is, but was made with other settings or on another dataset.
    """
    if run.arguments.overwrite or not warehouse.exists(RUNS, run.name, METADATA):
        return False
    metadata = warehouse.read_json(RUNS, run.name, METADATA)
    kept = metadata["arguments"]
    before = {name: kept.get(name) for name in ("model", "target", "model_settings", "training_settings")}
    now = {
        "model": run.arguments.model.name,
        "target": run.arguments.target,
        "model_settings": asdict(run.arguments.model_settings()),
        "training_settings": asdict(run.arguments.training_settings()),
    }
    pairs = ({**before, "dataset": metadata["dataset"]["fingerprint"]}, {**now, "dataset": fingerprint})
    others = differences(*json.loads(json.dumps(pairs)))
    if others:
        listed = "; ".join(f"{name} was {then}, now {wanted}" for name, (then, wanted) in others.items())
        raise UserError(f"{RUNS}/{run.name} was made otherwise: {listed}. Name another --name, or say --overwrite")
    return True


def train_all(warehouse: Warehouse, arguments: argparse.Namespace, runs: Sequence[Run], ranks: Ranks) -> None:
    """Train the runs that are not finished, one after the other."""
    from training.data.dataset import Dataset
    from training.train import train

    fingerprint = Dataset.open(warehouse, arguments.dataset).metadata["fingerprint"]

    def missing() -> list[Run]:
        return [run for run in runs if not is_done(warehouse, run, fingerprint)]

    left = {run.name for run in ranks.first_does(missing)}
    if ranks.is_first and len(left) < len(runs):
        print(f"{len(runs) - len(left)} of {len(runs)} runs are finished", file=sys.stderr, flush=True)
    for number, run in enumerate(runs, 1):
        if run.name not in left:
            continue
        if ranks.is_first:
            print(f"\n[{number}/{len(runs)}] {run.combination}, seed {run.seed}", file=sys.stderr, flush=True)
        began = ranks.agree_on(not _is_begun(warehouse, run))
        # A run of this comparison that was killed goes on from its checkpoint.
        started = time.monotonic()
        train(replace(run.arguments, resume=not run.arguments.overwrite), ranks)
        forget_models()
        if ranks.is_first:
            seconds = round(time.monotonic() - started, 2) if began else None
            content = {"run": run.name, "ranks": ranks.size, "seconds": seconds}
            warehouse.write_json(content, COMPARISONS, arguments.name, "runs", f"{run.name}.json")


def _is_begun(warehouse: Warehouse, run: Run) -> bool:
    from training.loop.checkpoints import Checkpoints

    return Checkpoints(warehouse, run.name, {}).exist


def compare_runs(warehouse: Warehouse, arguments: argparse.Namespace, runs: Sequence[Run]) -> dict[str, Any]:
    """Return what ``comparison.json`` holds, from the folders of the runs."""
    import numpy as np

    from msd_spark.core.bootstrap import Bootstrap
    from training.comparing.comparison import compare, pool
    from training.data.dataset import Dataset
    from training.data.predictions import Predictions
    from training.data.targets import Target
    from training.runs.predictions_table import read_predictions

    dataset = Dataset.open(warehouse, arguments.dataset)
    target, bootstrap = Target.of(runs[0].arguments.target, dataset), Bootstrap()
    predictions: dict[Combination, dict[int, Predictions]] = {}
    for run in runs:
        made = read_predictions(warehouse, run.name, arguments.split, target)
        if made is None:
            raise UserError(f"{arguments.split} of dataset {dataset.name} is empty; see --split")
        predictions.setdefault(run.combination, {})[run.seed] = made
    figures = MAIN_METRICS[target.name]
    rows = compare(pool(target, predictions, figures, bootstrap), figures, arguments.reference, bootstrap)
    for row in rows:
        mine = [run for run in runs if (run.combination.model, run.combination.inputs) == (row["model"], row["inputs"])]
        times = [warehouse_time(warehouse, arguments.name, run.name) for run in mine]
        known = [seconds for seconds in times if seconds is not None]
        row["parameters"] = warehouse.read_json(RUNS, mine[0].name, METADATA)["parameters"]
        row["epochs"] = float(np.mean([len(warehouse.read_json(RUNS, run.name, HISTORY)) for run in mine]))
        row["seconds"] = float(np.mean(known)) if known else None
        row["runs"] = [run.name for run in mine]
    judged = next(iter(predictions[runs[0].combination].values())).judged()
    baselines = warehouse.read_json(RUNS, runs[0].name, METRICS)[arguments.split]
    return {
        "name": arguments.name,
        "dataset": {"name": dataset.name, "fingerprint": dataset.metadata["fingerprint"]},
        "split": arguments.split,
        "target": target.name,
        "examples": len(judged),
        "artists": len(np.unique(judged.artist_groups)),
        "seeds": list(range(arguments.seeds)),
        "figures": list(figures),
        "reference": arguments.reference,
        "bootstrap": asdict(bootstrap),
        "training_settings": asdict(runs[0].arguments.training_settings()),
        "rows": rows,
        "baselines": {name: baselines[name] for name in baselines if name != "model"},
    }


def warehouse_time(warehouse: Warehouse, name: str, run: str) -> float | None:
    """Return the seconds that a run took; None where it was not trained in one go by this comparison."""
    place = (COMPARISONS, name, "runs", f"{run}.json")
    return warehouse.read_json(*place)["seconds"] if warehouse.exists(*place) else None


def main() -> None:
    """Train what is missing, then compare."""
    arguments, others = parse_arguments()
    runs, warehouse = plan_runs(arguments, others), Warehouse(arguments.warehouse)
    ranks = join_ranks()
    train_all(warehouse, arguments, runs, ranks)
    if not ranks.is_first:
        return
    comparison = compare_runs(warehouse, arguments, runs)
    warehouse.write_json(comparison, COMPARISONS, arguments.name, "comparison.json")
    page = warehouse.path(COMPARISONS, arguments.name, "comparison.md")
    with warehouse.finished_file(page) as unfinished, warehouse.filesystem.open_output_stream(unfinished) as sink:
        sink.write(markdown(comparison, shlex.join(["training/compare.py", *sys.argv[1:]])).encode())
    print(f"\n{comparison_table(comparison)}\n")
    print(NOTE.format(seeds=arguments.seeds, **comparison["bootstrap"]))
    print("\n".join([*findings(comparison), "", f"written: {page}"]), flush=True)


if __name__ == "__main__":
    exit_with(main)
