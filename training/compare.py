#!/usr/bin/env python
"""``training/compare.py``: the same as ``msd-spark compare``.

Under ``horovodrun`` the ranks share every training. The same command resumes an interrupted comparison;
finished runs are not trained again.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from msd_spark.core.command_line import run_verb
from msd_spark.core.runs import COMPARISONS, only_dataset
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment
from training.comparing.options import CompareOptions
from training.comparing.runs import Fits, Run, compare_runs, fit_baselines, open_datasets, plan_runs, train_missing
from training.comparing.table import agreement_table, comparison_table, findings, markdown, note
from training.loop.session import join_ranks

if TYPE_CHECKING:
    from training.data.dataset import Dataset
    from training.data.targets.target import Target


def run(options: CompareOptions) -> None:
    """Run ``msd-spark compare``."""
    warehouse = Warehouse(options.warehouse)
    options = replace(options, dataset=options.dataset or only_dataset(warehouse))
    warehouse.require("dataset", str(options.dataset))
    runs = plan_runs(options)
    require_sound_environment()
    ranks = join_ranks()
    from msd_spark.core.bootstrap import Bootstrap
    from training.comparing.neighbours import measure_agreement
    from training.data.dataset import Dataset
    from training.data.targets import target_of
    from training.loop.target_summary import require_classes

    dataset = Dataset.open(warehouse, str(options.dataset))
    target = target_of(options.training.target, dataset)
    require_classes(dataset, target, ranks, options.split)
    datasets = open_datasets(options, dataset, ranks)
    baselines = ranks.first_does(lambda: print_baselines(options, target, datasets, runs))
    train_missing(warehouse, options.name, datasets, runs, ranks)
    if not ranks.is_first:
        return
    comparison = compare_runs(warehouse, options, dataset, runs, *baselines)
    comparison["neighbours"] = measure_agreement(datasets, runs, target, options.split, Bootstrap())
    warehouse.write_json(comparison, COMPARISONS, options.name, "comparison.json")
    command = shlex.join(["training/compare.py", *sys.argv[1:]])
    warehouse.write_file(markdown(comparison, command).encode(), COMPARISONS, options.name, "comparison.md")
    print(f"\n{comparison_table(comparison)}\n")
    print(f"{agreement_table(comparison)}\n")
    print(note(comparison))
    page = warehouse.path(COMPARISONS, options.name, "comparison.md")
    print("\n".join([*findings(comparison), "", f"written: {page}"]), flush=True)


def print_baselines(options: CompareOptions, target: Target, datasets: dict[str, Dataset], runs: list[Run]) -> Fits:
    """Fit the learned baselines, print their metrics, and return their predictions and notes."""
    from training.comparing.comparison import baselines_table

    fits = fit_baselines(options, datasets, runs, target)
    print(f"{baselines_table(target, fits[0])}\n", flush=True)
    return fits


if __name__ == "__main__":
    run_verb("compare")
