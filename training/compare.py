#!/usr/bin/env python
"""``training/compare.py``: the same as ``msd-spark compare``.

Under ``horovodrun`` the ranks share every training. The same command resumes an interrupted comparison;
finished runs are not trained again.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

from msd_spark.core.command_line import run_verb
from msd_spark.core.runs import COMPARISONS, only_dataset
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment
from training.comparing.options import CompareOptions
from training.comparing.runs import compare_runs, plan_runs, train_missing
from training.comparing.table import NOTE, comparison_table, findings, markdown
from training.loop.session import join_ranks


def run(options: CompareOptions) -> None:
    """Run ``msd-spark compare``."""
    warehouse = Warehouse(options.warehouse)
    options = replace(options, dataset=options.dataset or only_dataset(warehouse))
    warehouse.require("dataset", str(options.dataset))
    runs = plan_runs(options)
    require_sound_environment()
    ranks = join_ranks()
    from training.data.dataset import Dataset
    from training.data.targets import target_of
    from training.loop.target_summary import require_classes

    dataset = Dataset.open(warehouse, str(options.dataset))
    require_classes(dataset, target_of(options.training.target, dataset), ranks, options.split)
    train_missing(warehouse, options.name, dataset, runs, ranks)
    if not ranks.is_first:
        return
    comparison = compare_runs(warehouse, options, dataset, runs)
    warehouse.write_json(comparison, COMPARISONS, options.name, "comparison.json")
    command = shlex.join(["training/compare.py", *sys.argv[1:]])
    warehouse.write_file(markdown(comparison, command).encode(), COMPARISONS, options.name, "comparison.md")
    print(f"\n{comparison_table(comparison)}\n")
    print(NOTE.format(seeds=options.seeds, **comparison["bootstrap"]))
    page = warehouse.path(COMPARISONS, options.name, "comparison.md")
    print("\n".join([*findings(comparison), "", f"written: {page}"]), flush=True)


if __name__ == "__main__":
    run_verb("compare")
