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
from training.comparing.options import ON_TEST, CompareOptions
from training.comparing.runs import (
    Run,
    compare_runs,
    open_datasets,
    plan_runs,
    read_networks,
    train_missing,
)
from training.comparing.table import agreement_table, comparison_table, findings, markdown, note
from training.loop.session import check_sources, join_ranks

if TYPE_CHECKING:
    from training.comparing.baselines import Fits
    from training.data.dataset import Dataset
    from training.data.targets.target import Target
    from training.ranks.ranks import Ranks


def run(options: CompareOptions) -> None:
    """Run ``msd-spark compare``."""
    warehouse = Warehouse(options.warehouse)
    if options.protocol is not None:
        run_protocol(options, warehouse)
        return
    options = replace(options, dataset=options.dataset or only_dataset(warehouse), folds=options.n_folds)
    warehouse.require("dataset", str(options.dataset))
    runs = plan_runs(options)
    require_sound_environment()
    ranks = join_ranks()
    from msd_spark.core.bootstrap import Bootstrap
    from training.comparing.neighbours import measure_agreement
    from training.data.dataset import Dataset
    from training.data.targets import target_of
    from training.loop.target_summary import require_classes

    dataset = Dataset.open(warehouse, str(options.dataset), options.training.reading)
    check_sources(options.training, dataset, options.input_names)
    target = target_of(options.training.target, dataset)
    # Folds are made of the songs of all splits.
    for split in (options.split,) if options.folds else ("train", options.split):
        require_classes(dataset, target, ranks, split)
    if options.mistakes:
        measure_mistakes(options, dataset, target, ranks)
        return
    datasets = open_datasets(options, dataset, ranks)
    baselines = ranks.first_does(lambda: print_baselines(options, target, datasets, runs))
    train_missing(warehouse, options.name, datasets, runs, ranks)
    if not ranks.is_first:
        return
    comparison = compare_runs(warehouse, options, dataset, runs, baselines.predictions, baselines.notes)
    comparison["neighbours"] = measure_agreement(
        datasets, runs, target, options.split, baselines.agreement, Bootstrap()
    )
    warehouse.write_json(comparison, COMPARISONS, options.name, "comparison.json")
    command = shlex.join(["training/compare.py", *sys.argv[1:]])
    warehouse.write_file(markdown(comparison, command).encode(), COMPARISONS, options.name, "comparison.md")
    print(f"\n{comparison_table(comparison)}\n")
    print(f"{agreement_table(comparison)}\n")
    print(note(comparison))
    page = warehouse.path(COMPARISONS, options.name, "comparison.md")
    print("\n".join([*findings(comparison), "", f"written: {page}"]), flush=True)


def run_protocol(options: CompareOptions, warehouse: Warehouse) -> None:
    """Run ``msd-spark compare --protocol``."""
    require_sound_environment()
    from training.comparing.protocols.official_lists import read_lists
    from training.comparing.protocols.report import protocol_page, protocol_tables
    from training.comparing.protocols.run import evaluate, make_protocol

    protocol = make_protocol(str(options.protocol), options.protocol_songs)
    for table in ("songs", *protocol.tables):
        warehouse.require(table)
    lists = read_lists(protocol, options.protocol_folder, options.protocol_lists)
    ranks = join_ranks()
    content = evaluate(protocol, warehouse, lists, mapper=ranks.map)
    if not ranks.is_first:
        return
    command = shlex.join(["training/compare.py", *sys.argv[1:]])
    warehouse.write_json(content, COMPARISONS, options.name, "protocol.json")
    warehouse.write_file(protocol_page(content, command).encode(), COMPARISONS, options.name, "protocol.md")
    page = warehouse.path(COMPARISONS, options.name, "protocol.md")
    print(f"\n{protocol_tables(content)}\n\nwritten: {page}", flush=True)


def print_baselines(options: CompareOptions, target: Target, datasets: dict[str, Dataset], runs: list[Run]) -> Fits:
    """Fit the learned baselines, print their metrics, and return their predictions and notes."""
    from training.comparing.baselines import fit_baselines
    from training.comparing.comparison import baselines_table

    fits = fit_baselines(options, datasets, runs, target)
    print(f"{baselines_table(target, fits.predictions)}\n", flush=True)
    return fits


def measure_mistakes(options: CompareOptions, dataset: Dataset, target: Target, ranks: Ranks) -> None:
    """Run ``msd-spark compare --mistakes``."""
    from training.comparing.comparison import Combination
    from training.comparing.effects import Effects, effects_note, effects_of, effects_table
    from training.comparing.mistakes import EPOCH, HONEST

    warehouse = dataset.warehouse
    networks: Effects = {}
    for mistake, suffix in ((HONEST, ""), (EPOCH, ON_TEST)) if options.model_names else ():
        own = replace(options, name=options.name + suffix)
        runs, datasets = plan_runs(own), open_datasets(own, dataset, ranks, validate_on_test=mistake == EPOCH)
        train_missing(warehouse, options.name, datasets, runs, ranks)
        for network, by_seed in (read_networks(warehouse, own, runs, target) if ranks.is_first else {}).items():
            networks[Combination(mistake, f"{network.model}, {network.inputs}")] = by_seed
    if not ranks.is_first:
        return
    effects = effects_of(options, dataset, target, networks)
    warehouse.write_json(effects, COMPARISONS, options.name, "mistakes.json")
    page = warehouse.path(COMPARISONS, options.name, "mistakes.json")
    print(f"\n{effects_table(effects)}\n\n{effects_note(effects)}\n\nwritten: {page}", flush=True)


if __name__ == "__main__":
    run_verb("compare")
