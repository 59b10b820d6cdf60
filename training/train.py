#!/usr/bin/env python
"""``horovodrun -np 4 training/train.py``: the same as ``msd-spark train``, on four ranks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from msd_spark.core.command_line import run_verb
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment
from training.loop import session
from training.loop.options import TrainOptions

if TYPE_CHECKING:
    from training.loop.state import TrainingState
    from training.ranks.ranks import Ranks


def run(options: TrainOptions) -> None:
    """Run ``msd-spark train``."""
    # With --resume, some runs may be finished; `train` skips these.
    runs = [one if options.resume else session.checked(one) for one in session.checked(options).runs()]
    require_sound_environment()
    ranks = session.join_ranks()
    from training.evaluation.judgement import DivergedError
    from training.loop.elastic import train_elastically
    from training.ranks.ranks import LostRankError

    if options.elastic:
        train_elastically(partial(train, runs[0]))
        return
    if options.overwrite:
        ranks.first_does(partial(session.start_over, runs))
    try:
        for one in runs:
            train(one, ranks)
            session.forget_models()
        if options.protocol and ranks.is_first:
            _print_results(runs[-1])
    except (DivergedError, LostRankError) as error:
        # Every rank raises these; one prints.
        if not (error.is_first_to_speak if isinstance(error, LostRankError) else ranks.is_first):
            sys.exit(2)
        raise


def train(
    options: TrainOptions,
    ranks: Ranks,
    begin: TrainingState | None = None,
    commit: Callable[[TrainingState], None] | None = None,
) -> None:
    """Train, evaluate and write a run.

    See `training.loop.session.train` for `begin` and `commit`.
    """
    started = time.monotonic()
    from training.data.dataset import Dataset
    from training.protocol_2019.dataset import protocol_dataset
    from training.protocol_2019.examples import Protocol2019
    from training.protocol_2019.report import inflation, protocol_rows, protocol_table
    from training.runs.run_folder import write_run

    warehouse = Warehouse(options.warehouse)
    dataset = Dataset.open(warehouse, str(options.dataset), options.reading)
    if options.protocol:
        largest, others = options.protocol_rows
        rule = Protocol2019(largest, others, short=options.protocol_short, seed=options.training.seed)
        dataset = Dataset.open(warehouse, ranks.first_does(partial(protocol_dataset, dataset, rule)), options.reading)
    if options.resume and session.is_finished(options, dataset):
        if ranks.rank == 0:
            print(
                f"{options.run} is finished; raise --epochs to continue it, or add --overwrite to start over",
                flush=True,
            )
        return
    finished = session.train(options, dataset, ranks, begin, commit)
    if finished is None:
        return
    rows = []
    if options.protocol:
        facts = {
            "model": options.model.name,
            "inputs": options.model.inputs,
            "metrics": finished.metrics,
            "training": finished.training,
        }
        rows = protocol_rows(warehouse, dataset.metadata, facts, finished.predictions)
        finished = replace(finished, arguments=finished.arguments | {"protocol_report": rows})
    with ranks.alone.running():
        write_run(warehouse, finished)
    session.report(options, finished, time.monotonic() - started, ranks)
    if options.protocol:
        print(f"\n{protocol_table(rows, dataset.metadata)}")
        print(f"\n{inflation(finished.metrics)}", flush=True)


def _print_results(options: TrainOptions) -> None:
    """Print all runs on the protocol's dataset next to the original."""
    from training.data.dataset import Dataset
    from training.protocol_2019.dataset import name_of
    from training.protocol_2019.report import original_table

    warehouse = Warehouse(options.warehouse)
    dataset = Dataset.open(warehouse, name_of(str(options.dataset)))
    print(f"\n{original_table(warehouse, dataset.metadata)}", flush=True)


if __name__ == "__main__":
    run_verb("train")
