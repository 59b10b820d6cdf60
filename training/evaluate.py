#!/usr/bin/env python
"""``training/evaluate.py``: the same as ``msd-spark evaluate``.

Under ``horovodrun`` the ranks share the files.
"""

from __future__ import annotations

import io
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from msd_spark.core.command_line import run_verb
from msd_spark.core.errors import UserError
from msd_spark.core.runs import EVALUATIONS, newest_run, read_run
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import require_sound_environment
from training.evaluation.options import EvaluateOptions
from training.loop.session import join_ranks

if TYPE_CHECKING:
    from training.data.predictions import Predictions
    from training.evaluation.fit import Fit
    from training.ranks.ranks import Ranks


def run(options: EvaluateOptions) -> None:
    """Run ``msd-spark evaluate``."""
    started = time.monotonic()
    warehouse = Warehouse(options.warehouse)
    metadata = read_run(warehouse, options.run or newest_run(warehouse))
    dataset = options.dataset or metadata["dataset"]["name"]
    warehouse.require("dataset", dataset)
    require_sound_environment()
    ranks = join_ranks()
    fit, predictions, fingerprint = predict(options, metadata, dataset, ranks)
    if not ranks.is_first:
        return
    content, warning = evaluate(options, warehouse, metadata, fit, predictions)
    content["dataset"] = {"name": dataset, "fingerprint": fingerprint}
    from training.runs.model_card import write_model_card

    path = write(warehouse, f"{dataset}-{options.split}", content, predictions, fit)
    write_model_card(warehouse, content["run"])
    from training.evaluation.table import metrics_table

    facts = [
        ("run", content["run"]),
        ("dataset", dataset),
        ("examples", f"{len(predictions):,}"),
        (f"with {fit.target.content}", f"{int(predictions.present.sum()):,}"),
        ("artists", f"{content['figures']['model']['artists']:,}"),
        ("ranks", ranks.size),
        ("seconds", f"{time.monotonic() - started:.1f}"),
    ]
    print(tabulate(facts, headers=["evaluate", ""], tablefmt="simple", colalign=("left", "right")))
    print(f"\n{metrics_table({options.split: content['figures']}, fit.target.headline_metrics)}")
    print(f"\nwritten: {path}", flush=True)
    if warning:
        print(f"\n{warning}", file=sys.stderr, flush=True)


def predict(
    options: EvaluateOptions, metadata: dict[str, Any], name: str, ranks: Ranks
) -> tuple[Fit, Predictions, str]:
    """Predict a split on all ranks; return the fit to the run, predictions and fingerprint."""
    from training.data.dataset import Dataset
    from training.data.targets import target_of
    from training.evaluation.fit import fit_to, run_target
    from training.loop.inference import compile_inference, predict_split
    from training.runs.run_folder import read_model

    warehouse = Warehouse(options.warehouse)
    dataset = Dataset.open(warehouse, name, options.reading)
    target = target_of(run_target(metadata).name, dataset)
    fit = fit_to(metadata, dataset, target, options.split)
    model = read_model(warehouse, metadata["run"])
    n_outputs, infer = int(model.output_shape[-1]), compile_inference(model)
    with ranks.noticing_losses():
        predictions = predict_split(
            infer, n_outputs, dataset, options.split, target, options.batch_size, ranks, tuple(model.input)
        )
    if predictions is None or not predictions.present.any():
        raise UserError(f"no example in {options.split} of dataset {name} has {target.content}; choose another --split")
    return fit, fit.align(predictions), dataset.metadata["fingerprint"]


def evaluate(
    options: EvaluateOptions, warehouse: Warehouse, metadata: dict[str, Any], fit: Fit, predictions: Predictions
) -> tuple[dict[str, Any], str]:
    """Return metrics of the model and simple baselines, and warnings.

    Warnings are about known artists and a single class.
    """
    from msd_spark.core.bootstrap import Bootstrap
    from training.evaluation.judgement import judge
    from training.evaluation.leaks import find_leak
    from training.evaluation.table import one_class_warning
    from training.runs.run_folder import read_training

    training = read_training(warehouse, metadata)
    metrics = judge(fit.target, predictions, fit.training(training), bootstrap=Bootstrap(seed=options.seed))
    leak = find_leak(predictions.judged(), training)
    content = {
        "run": metadata["run"],
        "split": options.split,
        "target": fit.target.name,
        "leak": asdict(leak),
        "figures": metrics,
    }
    one_class = one_class_warning(fit.target, options.split, metrics["model"])
    return content, "\n".join(filter(None, (leak.warning(metadata["run"]), one_class)))


def write(warehouse: Warehouse, name: str, content: dict[str, Any], predictions: Predictions, fit: Fit) -> str:
    """Write ``evaluations/RUN/NAME.json`` and ``.parquet``; return the path of the first."""
    import pyarrow.parquet as pq

    from training.runs.predictions_table import predictions_table

    place = (EVALUATIONS, content["run"])
    content_of_table = io.BytesIO()
    pq.write_table(predictions_table(predictions, fit.target), content_of_table, compression="zstd")
    warehouse.write_file(content_of_table.getvalue(), *place, f"{name}.parquet")
    warehouse.write_json(content, *place, f"{name}.json")
    return warehouse.path(*place, f"{name}.json")


if __name__ == "__main__":
    run_verb("evaluate")
