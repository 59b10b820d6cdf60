#!/usr/bin/env python
"""Judge a finished run on a split of any dataset: ``training/evaluate.py --warehouse W --run RUN --split test``.

Under ``horovodrun`` the ranks share the files; the figures are the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from tabulate import tabulate

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.runs import read_run
from msd_spark.core.schemas import SPLITS
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment

EVALUATIONS = "evaluations"
"""Folder of the warehouse: ``evaluations/RUN/DATASET-SPLIT.json`` and ``.parquet``. A run's own folder is finished."""


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--run", required=True, metavar="NAME", help="the run in models/NAME")
    parser.add_argument("--dataset", metavar="NAME", help="dataset/NAME; the one of the training when left out")
    parser.add_argument("--split", default="test", choices=SPLITS, help="which split")
    parser.add_argument("--batch", type=int, default=64, help="examples a call of the model")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    return parser.parse_args()


def evaluate(arguments: argparse.Namespace) -> None:
    """Score, judge, write and print."""
    started = time.monotonic()
    import horovod.tensorflow as hvd
    import pyarrow.parquet as pq

    from msd_spark.core.bootstrap import Bootstrap
    from training.data.dataset import Dataset
    from training.data.targets import Target
    from training.evaluation.fit import fit_to, run_target
    from training.evaluation.judgement import HEADLINES, judge
    from training.evaluation.leaks import find_leak
    from training.evaluation.table import metrics_table
    from training.loop.inference import compile_inference, predict_split
    from training.ranks.devices import keep_to_own_cores, use_own_accelerator
    from training.ranks.ranks import Ranks
    from training.runs.run_folder import predictions_table, read_model, read_training

    hvd.init()
    # Before anything else of TensorFlow: its threads and devices cannot be changed once it runs.
    keep_to_own_cores(hvd.local_rank(), hvd.local_size())
    use_own_accelerator(hvd.local_rank())
    ranks = Ranks.joined()
    warehouse = Warehouse(arguments.warehouse)
    metadata = read_run(warehouse, arguments.run)
    name, split = arguments.dataset or metadata["dataset"]["name"], arguments.split
    warehouse.require("dataset", name)
    dataset = Dataset.open(warehouse, name)
    found = Target.of(run_target(metadata).name, dataset)
    fit = fit_to(metadata, dataset, found, split)
    model = read_model(warehouse, arguments.run)
    outputs = int(model.output_shape[-1])
    with ranks.noticing_losses():
        made = predict_split(compile_inference(model), outputs, dataset, split, found, arguments.batch, ranks)
    if made is None or not made.present.any():
        raise UserError(f"no example in {split} of dataset {name} has a {found.name} to judge by; see --split")
    if not ranks.is_first:
        return
    predictions, training = fit.align(made), read_training(warehouse, metadata)
    judged = judge(fit.target, predictions, fit.training(training), bootstrap=Bootstrap(seed=arguments.seed))
    of = predictions.judged()
    leak = find_leak(of.track_ids, of.artist_groups, training.track_ids, training.artist_groups)
    place = (EVALUATIONS, arguments.run, f"{name}-{split}")
    folder = warehouse.path(*place[:-1])
    warehouse.filesystem.create_dir(folder, recursive=True)
    with warehouse.finished_file(f"{folder}/{place[-1]}.parquet") as unfinished:
        table = predictions_table(predictions, fit.target)
        pq.write_table(table, unfinished, filesystem=warehouse.filesystem, compression="zstd")
    content = {
        "run": arguments.run,
        "dataset": {"name": name, "fingerprint": dataset.metadata["fingerprint"]},
        "split": split,
        "target": fit.target.name,
        "leak": asdict(leak),
        "figures": judged,
    }
    warehouse.write_json(content, *place[:-1], f"{place[-1]}.json")
    facts = [
        ("run", arguments.run),
        ("dataset", name),
        ("examples", f"{len(predictions):,}"),
        ("with what is judged", f"{int(predictions.present.sum()):,}"),
        ("artists", f"{judged['model']['artists']:,}"),
        ("ranks", ranks.size),
        ("seconds", f"{time.monotonic() - started:.1f}"),
    ]
    print(tabulate(facts, headers=["evaluate", ""], tablefmt="simple", colalign=("left", "right")))
    print(f"\n{metrics_table({split: judged}, HEADLINES[fit.target.name])}")
    print(f"\nwritten: {folder}/{place[-1]}.json", flush=True)
    warning = leak.warning(arguments.run)
    if warning:
        print(f"\n{warning}", file=sys.stderr, flush=True)


def main() -> None:
    """Check the environment, then evaluate."""
    arguments = parse_arguments()
    require_sound_environment()
    evaluate(arguments)


if __name__ == "__main__":
    exit_with(main)
