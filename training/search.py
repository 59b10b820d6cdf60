#!/usr/bin/env python
"""``training/search.py``: the same as ``msd-spark search``.

Under ``horovodrun`` the ranks share every trial. The same command resumes an interrupted search. Trials are
evaluated on the validation split only.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment
from training.data.dataset import Dataset
from training.loop import session
from training.searching.options import SearchOptions

if TYPE_CHECKING:
    from training.searching.study import Study

SHARED = ("model", "target", "model_settings", "training_settings")
"""Settings of a training that all trials of a study share."""


def run(options: SearchOptions) -> None:
    """Run ``msd-spark search``."""
    training = session.checked(options.training)
    options, warehouse = replace(options, training=training), Warehouse(training.warehouse)
    if not (options.study or warehouse.is_local):
        raise UserError(f"warehouse {training.warehouse} is not local, but a study is a local file; add --study FILE")
    dataset = Dataset.open(warehouse, str(training.dataset), training.reading)
    if not sum(dataset.rows("validation")):
        raise UserError(
            f"dataset {dataset.name} has no validation examples, on which trials are evaluated; "
            "run msd-spark dataset with other --shares"
        )
    require_sound_environment()
    ranks = session.join_ranks()
    from training.data.targets import target_of
    from training.evaluation.deciding import LOSS
    from training.loop.target_summary import require_classes
    from training.searching.results import best_command, search_table, write_results
    from training.searching.study import SEARCHES, Study
    from training.searching.trials import run_trials

    smallest, streams = min(options.space.batch_sizes) * ranks.size, training.training.streams or 1
    if streams > smallest:
        ranks.fail(f"{streams} streams cannot share {smallest} examples per step; use larger --batch-sizes")
    if options.decides not in (LOSS, "log_loss"):
        require_classes(dataset, target_of(training.target, dataset), ranks, "validation")
    recorded = session.recorded_options(training)
    settings = {name: recorded[name] for name in SHARED} | {
        "dataset": dataset.metadata["fingerprint"],
        "ranks": ranks.size,
        "space": asdict(options.space),
        "metric": options.decides,
        "pruning": options.pruning,
    }
    path = options.study or warehouse.path(SEARCHES, options.study_name, "study.db")
    opened: list[Study] = []
    ranks.first_does(lambda: opened.append(Study.open(path, options, settings)))
    study = opened[0] if opened else None
    run_trials(study, dataset, options, ranks)
    if study is None:
        return
    command = best_command(study, options, ranks.size)
    folder = write_results(warehouse, study, options, command)
    print(f"\n{search_table(study, options)}")
    print(f"\nbest: {shlex.join(command)}" if command else "\nno trial was completed")
    print(f"\nwritten: {folder}", flush=True)


if __name__ == "__main__":
    run_verb("search")
