#!/usr/bin/env python
"""Train a genre model on a dataset of the warehouse: ``horovodrun -np 4 training/train.py --warehouse W --model cnn``.

Without ``horovodrun`` it trains on one rank.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from tabulate import tabulate

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment
from training.loop.options import (
    add_options,
    checkpoint_settings,
    model_settings,
    training_settings,
)
from training.protocol_2019.options import parse_options, protocol_settings

if TYPE_CHECKING:
    from training.loop.state import TrainingState
    from training.ranks.ranks import Ranks


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = job_parser(__doc__)
    add_options(parser)
    return parse_options(parser)


def train(arguments: argparse.Namespace) -> None:
    """Join the other ranks and train with them."""
    checkpoint_settings(arguments), training_settings(arguments), model_settings(arguments)
    import horovod.tensorflow as hvd

    from training.loop.elastic import train_elastically
    from training.ranks.devices import keep_to_own_cores, use_own_accelerator
    from training.ranks.ranks import LostRankError, Ranks

    ranks = Ranks.join()
    keep_to_own_cores(hvd.local_rank(), hvd.local_size())
    use_own_accelerator(hvd.local_rank())
    if arguments.elastic:
        train_elastically(partial(train_with, arguments))
        return
    try:
        train_with(arguments, ranks)
    except LostRankError as error:
        if not error.is_first_to_speak:
            sys.exit(2)
        raise


def train_with(
    arguments: argparse.Namespace,
    ranks: Ranks,
    begin: TrainingState | None = None,
    commit: Callable[[TrainingState], None] | None = None,
) -> None:
    """Train, evaluate and write the run.

    Parameters
    ----------
    arguments : argparse.Namespace
    ranks : Ranks
    begin : TrainingState, optional
        Where these ranks go on, whatever the checkpoints say.
    commit : callable, optional
        Is given the state after every epoch, too.
    """
    started = time.monotonic()
    import keras

    from msd_spark.core.bootstrap import Bootstrap
    from training.data.dataset import Dataset
    from training.data.targets import Target
    from training.evaluation.judgement import judge_splits, read_training_truths
    from training.loop.checkpoints import Checkpoints
    from training.loop.journal import Journal
    from training.loop.trainer import Trainer
    from training.models import MODELS
    from training.protocol_2019.dataset import protocol_dataset
    from training.protocol_2019.report import inflation, protocol_rows, protocol_table
    from training.ranks.seeds import seed_weights
    from training.runs.run_folder import FinishedRun, write_run

    settings, sizes, when = training_settings(arguments), model_settings(arguments), checkpoint_settings(arguments)
    warehouse = Warehouse(arguments.warehouse)
    dataset = Dataset.open(warehouse, arguments.dataset)
    if arguments.protocol:
        rule = protocol_settings(arguments)
        dataset = Dataset.open(warehouse, ranks.first_does(partial(protocol_dataset, dataset, rule)))
    target = Target.of(arguments.target, dataset)
    run = arguments.run or ranks.agree_on(f"{arguments.model}-{time.strftime('%Y%m%d-%H%M%S')}")
    decisive = {
        "model": arguments.model,
        "target": target.name,
        "dataset": {"name": dataset.name, "fingerprint": dataset.metadata["fingerprint"]},
        "ranks": "elastic" if arguments.elastic else ranks.size,
        "model_settings": asdict(sizes),
        "training_settings": asdict(settings),
    }
    checkpoints = Checkpoints(warehouse, run, decisive)

    def build(dtype_policy: str) -> keras.Model:
        keras.config.set_dtype_policy(dtype_policy)
        seed_weights(arguments.seed)
        return MODELS[arguments.model](dataset.geometry, target, dataset.metadata["normalisation"], sizes)

    with ranks.noticing_losses(how_to_go_on=f"go on with the same command, --run {run} --resume"):
        if begin is None:
            begin = ranks.first_does(partial(checkpoints.begin, resume=arguments.resume, overwrite=arguments.overwrite))
        trainer = Trainer(build(settings.optimizer.dtype_policy), dataset, target, settings, ranks)
        journal = Journal(checkpoints, when, trainer.model, begin) if ranks.is_first else None
        if begin is not None and ranks.is_first:
            print(f"{run}: goes on after {begin.place}", file=sys.stderr, flush=True)

        def keep(state: TrainingState) -> None:
            if journal is not None:
                journal.keep(state)
            if commit is not None:
                commit(state)

        history = trainer.fit(begin, keep, when.steps)
        if settings.optimizer.precision != "float32":
            # What is written and judged computes in full precision: machines that score have no use for halves.
            trainer.use(build("float32"))
        model = trainer.model
        if not ranks.identical(model.get_weights()):
            raise UserError("the ranks ended with different weights; the run was not written")
        splits = [split for split in dataset.metadata["files"] if split != "train"]
        predictions = {split: made for split in splits if (made := trainer.predict(split)) is not None}
    if journal is None:
        return
    training = read_training_truths(dataset, target)
    metrics = judge_splits(
        dataset,
        target,
        predictions,
        training,
        baselines=arguments.baselines,
        inputs=arguments.inputs,
        bootstrap=Bootstrap(seed=arguments.seed),
    )
    recorded = {
        name: value for name, value in vars(arguments).items() if name not in ("warehouse", "overwrite", "resume")
    } | {
        "ranks": ranks.size,
        "model_settings": asdict(sizes),
        "training_settings": asdict(settings),
    }
    if arguments.protocol:
        told = {"model": arguments.model, "inputs": arguments.inputs, "metrics": metrics, "training": training}
        recorded["protocol_report"] = protocol_rows(warehouse, dataset.metadata, told, predictions)
    finished = FinishedRun(run, model, dataset, target, recorded, history, metrics, predictions, training)
    write_run(warehouse, finished, journal.copy_to)
    report(arguments, run, ranks.size, history, metrics, time.monotonic() - started)
    if arguments.protocol:
        print(f"\n{protocol_table(recorded['protocol_report'], dataset.metadata)}")
        print(f"\n{inflation(metrics)}", flush=True)


def report(
    arguments: argparse.Namespace,
    run: str,
    n_ranks: int,
    history: list[dict[str, Any]],
    metrics: dict[str, Any],
    seconds: float,
) -> None:
    """Print what was trained, the figures beside the baselines', and what to type next."""
    from training.evaluation.judgement import HEADLINES
    from training.evaluation.table import metrics_table

    facts = [("model", arguments.model), ("ranks", n_ranks), ("epochs", len(history)), ("seconds", f"{seconds:.1f}")]
    print(tabulate(facts, headers=["train", ""], tablefmt="simple", colalign=("left", "right")))
    print(f"\n{metrics_table(metrics, HEADLINES[arguments.target])}")
    print(f"\nnext: spark-submit jobs/score.py --warehouse {arguments.warehouse} --run {run}", flush=True)


def main() -> None:
    """Check the environment, then train."""
    arguments = parse_arguments()
    require_sound_environment()
    train(arguments)


if __name__ == "__main__":
    exit_with(main)
