#!/usr/bin/env python
"""Train a genre model on a dataset of the warehouse: ``horovodrun -np 4 training/train.py --warehouse W --model cnn``.

Without ``horovodrun`` it trains on one rank.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from tabulate import tabulate

from msd_spark.command_line import exit_with, job_parser
from msd_spark.environment.doctor import EnvironmentMismatchError, require_sound_environment
from msd_spark.errors import StageError
from msd_spark.warehouse import Warehouse


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--dataset", default="genre", metavar="NAME", help="dataset/NAME of the warehouse")
    parser.add_argument("--model", default="cnn", choices=("cnn", "dense"), help="which model")
    parser.add_argument(
        "--run", metavar="NAME", help="the run is written to models/NAME; made of model and time when left out"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a finished run of the same name")
    parser.add_argument("--epochs", type=int, default=30, help="epochs at most")
    parser.add_argument("--batch", type=int, default=32, help="examples a rank takes a step")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of Adam")
    parser.add_argument("--dropout", type=float, default=0.2, help="share of units dropped before dense layers")
    parser.add_argument(
        "--patience", type=int, default=6, help="epochs without a lower validation loss before training stops; 0: never"
    )
    parser.add_argument(
        "--shuffle-window", type=int, default=4, help="row groups within which examples are shuffled; 0: in order"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights, dropout and reading order")
    return parser.parse_args()


def limit_threads(local_ranks: int) -> None:
    """Share this machine's cores among its ranks, so that they do not get in one another's way."""
    import tensorflow as tf

    cores = max(1, len(os.sched_getaffinity(0)) // max(1, local_ranks))
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def use_own_accelerator(local_rank: int) -> None:
    """Give each rank of a machine one of its GPUs, where it has any."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    if devices:
        tf.config.set_visible_devices(devices[local_rank % len(devices)], "GPU")


def train(arguments: argparse.Namespace) -> None:
    """Train, evaluate and write the run."""
    started = time.monotonic()
    import horovod.tensorflow as hvd
    import keras

    from training.dataset import Dataset
    from training.loop import Trainer, TrainingSettings
    from training.metrics import genre_metrics, majority_metrics
    from training.models import MODELS, ModelSettings
    from training.ranks import Ranks
    from training.run_folder import check_free, write_run

    ranks = Ranks.join()
    limit_threads(hvd.local_size())
    use_own_accelerator(hvd.local_rank())
    warehouse = Warehouse(arguments.warehouse)
    dataset = Dataset.open(warehouse, arguments.dataset)
    run = arguments.run or ranks.agree_on(f"{arguments.model}-{time.strftime('%Y%m%d-%H%M%S')}")
    if not arguments.overwrite:
        check_free(warehouse, run)
    keras.utils.set_random_seed(arguments.seed)
    model = MODELS[arguments.model](
        dataset.geometry,
        len(dataset.labels),
        dataset.metadata["normalisation"],
        ModelSettings(dropout=arguments.dropout),
    )
    keras.utils.set_random_seed(arguments.seed + ranks.rank)
    settings = TrainingSettings(
        arguments.epochs,
        arguments.batch,
        arguments.learning_rate,
        arguments.patience,
        arguments.shuffle_window,
        arguments.seed,
    )
    trainer = Trainer(model, dataset, settings, ranks)
    history = trainer.fit()
    if not ranks.identical(model.get_weights()):
        raise StageError("train", "the ranks ended with different weights; the run was not written")
    predictions = {split: made for split in ("validation", "test") if (made := trainer.predict(split)) is not None}
    if not ranks.is_first:
        return
    metrics: dict[str, Any] = {}
    for split, made in predictions.items():
        metrics[split] = {
            "model": genre_metrics(made.true, made.probabilities, dataset.labels),
            "majority": majority_metrics(made.true, dataset.genre_counts("train"), dataset.labels),
        }
    recorded = {name: value for name, value in vars(arguments).items() if name not in ("warehouse", "overwrite")} | {
        "ranks": ranks.size
    }
    write_run(warehouse, run, model, dataset, recorded, history, metrics, predictions)
    report(arguments, run, ranks.size, history, metrics, time.monotonic() - started)


def report(
    arguments: argparse.Namespace,
    run: str,
    n_ranks: int,
    history: list[dict[str, Any]],
    metrics: dict[str, Any],
    seconds: float,
) -> None:
    """Print what was trained, the figures beside the baseline's, and what to type next."""
    facts = [("model", arguments.model), ("ranks", n_ranks), ("epochs", len(history)), ("seconds", f"{seconds:.1f}")]
    print(tabulate(facts, headers=["train", ""], tablefmt="simple", colalign=("left", "right")))
    rows = [
        (
            split,
            who,
            figures["examples"],
            *(f"{figures[name]:.3f}" for name in ("accuracy", "macro_f1", "weighted_f1", "macro_average_precision")),
        )
        for split, both in metrics.items()
        for who, figures in both.items()
    ]
    print()
    print(
        tabulate(
            rows,
            headers=["split", "", "examples", "accuracy", "macro F1", "weighted F1", "macro AP"],
            tablefmt="simple",
        )
    )
    print(f"\nnext: spark-submit jobs/score.py --warehouse {arguments.warehouse} --run {run}", flush=True)


def main() -> None:
    """Check the environment, then train."""
    arguments = parse_arguments()
    try:
        require_sound_environment()
    except EnvironmentMismatchError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    train(arguments)


if __name__ == "__main__":
    exit_with(main)
