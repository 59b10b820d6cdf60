"""Train a model and write its run: what ``train``, ``compare`` and ``search`` share.

TensorFlow and Horovod are imported only inside the functions, so that options are checked before they start.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from msd_spark.core.errors import UserError
from msd_spark.core.hosts import no_address, own_name_resolves
from msd_spark.core.options import DEFAULT_WAREHOUSE, declared_options, value_at
from msd_spark.core.runs import finished_runs, only_dataset, read_run, run_file
from msd_spark.core.warehouse import Warehouse
from training.data.dataset import Dataset
from training.data.targets import target_of
from training.data.targets.target import NONE
from training.loop.checkpoints import Checkpoints
from training.loop.options import TrainOptions
from training.models.settings import LYRICS

if TYPE_CHECKING:
    import keras

    from training.data.predictions import Predictions
    from training.data.targets.target import Target
    from training.evaluation.baselines import TrainingTruths
    from training.loop.settings import TrainingSettings
    from training.loop.state import TrainingState
    from training.loop.trainer import Trainer
    from training.ranks.ranks import Ranks
    from training.runs.run_folder import FinishedRun

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "KERAS_HOME": os.devnull,
    "XLA_FLAGS": "--xla_cpu_use_thunk_runtime=false",
}
"""TensorFlow reads these when it is imported. On CPUs, XLA's older runtime trains an LSTM in a sixth less time."""

for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

NOT_RECORDED = ("warehouse", "overwrite", "resume", "profile", "reader", "cache", "cache-gib")
"""Options that do not change a run, so its metadata omits them."""

ENDING = ("epochs", "patience")
"""Training settings that decide when a run ends; the decay of the learning rate also depends on the epochs."""

COMMIT_STEPS = 100
"""Steps between the states that an elastic training can return to."""


def checked(options: TrainOptions) -> TrainOptions:
    """Return the options with the dataset's name; check all that needs no TensorFlow."""
    options.model_settings()
    warehouse = Warehouse(options.warehouse)
    dataset = options.dataset or only_dataset(warehouse)
    opened = Dataset.open(warehouse, dataset)
    check_sources(options, opened, [options.model.inputs])
    # A rank that joins an elastic training finds the run unfinished.
    if options.run and not (options.overwrite or options.elastic):
        Checkpoints(warehouse, options.run, {}).check_may_begin(resume=options.resume)
    return replace(options, dataset=dataset)


def check_sources(options: TrainOptions, dataset: Dataset, inputs: Sequence[str]) -> None:
    """Check the dataset's targets and inputs, and that the run of ``--init-from`` is finished."""
    for target in (options.target, options.training.embedding.also):
        if target != NONE:
            target_of(target, dataset)
    if options.init_from:
        read_run(dataset.warehouse, options.init_from)
    if LYRICS in inputs and not dataset.metadata["words"]["tracks"]:
        remedy = "run msd-spark lyrics and msd-spark dataset again, or choose other --inputs"
        raise UserError(f"dataset {dataset.name} has no lyrics, which --inputs {LYRICS} learns from; {remedy}")


def start_over(runs: Sequence[TrainOptions]) -> None:
    """Mark all runs of a command as being overwritten.

    The mark of a run is removed when it is finished, so that ``--resume`` trains only the others.
    """
    for options in runs:
        if options.run:
            Checkpoints(Warehouse(options.warehouse), options.run, {}).start_over()


def is_finished(options: TrainOptions, dataset: Dataset) -> bool:
    """Return whether the run is finished, with the same options and dataset."""
    warehouse, run = Warehouse(options.warehouse), str(options.run)
    checkpoints = Checkpoints(warehouse, run, {})
    if run not in finished_runs(warehouse) or checkpoints.exist or checkpoints.is_being_overwritten:
        return False
    before, now = read_run(warehouse, run), json.loads(json.dumps(recorded_options(options)))
    return (before["dataset"]["fingerprint"], before["arguments"]) == (
        dataset.metadata["fingerprint"],
        before["arguments"] | now,
    )


def join_ranks() -> Ranks:
    """Join the other ranks and take this rank's share of the machine's cores and GPUs."""
    if os.environ.get("HOROVOD_SIZE", "1") != "1" and not own_name_resolves():
        raise UserError(no_address())  # Horovod would end by a segmentation fault
    from training.ranks import collectives
    from training.ranks.devices import keep_to_own_cores, use_own_accelerator
    from training.ranks.ranks import Ranks

    ranks = Ranks.join()
    # TensorFlow fixes its threads and devices with the first operation.
    keep_to_own_cores(collectives.local_rank(), collectives.local_size())
    use_own_accelerator(collectives.local_rank())
    return ranks


def train(
    options: TrainOptions,
    dataset: Dataset,
    ranks: Ranks,
    begin: TrainingState | None = None,
    commit: Callable[[TrainingState], None] | None = None,
) -> FinishedRun | None:
    """Train and evaluate; return the run on rank 0 and None on the others.

    `begin` is the state to resume from, instead of a checkpoint; `commit` is called with the state after every epoch,
    and within it every ``--checkpoint-steps`` steps, by default every `COMMIT_STEPS`.
    """
    from training.loop.journal import Journal
    from training.loop.profiling import profiled
    from training.runs.initial_weights import with_ancestors
    from training.runs.run_folder import FinishedRun

    ranks.alone.seconds = 0.0
    settings = options.training_settings()
    target = target_of(options.target, dataset)
    run = options.run or ranks.agree_on(f"{options.model.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    checkpoints = Checkpoints(Warehouse(options.warehouse), run, _fixed_settings(options, dataset))
    added = "--resume" if options.run else f"--run {shlex.quote(run)} --resume"
    with ranks.noticing_losses(f"resume with the same command and {added}"):
        if begin is None:
            begin = ranks.first_does(lambda: _begin(checkpoints, options))
        if begin is not None:
            settings = replace(settings, global_batch_size=begin.global_batch, streams=begin.streams)
        trainer = _make_trainer(options, dataset, target, settings, ranks, is_new=begin is None)
        journal = Journal(checkpoints, options.checkpoints, begin) if ranks.is_first else None
        if begin is not None and ranks.is_first:
            print(f"{run}: resumed after {begin.place}{_other_ranks(begin, ranks)}", file=sys.stderr, flush=True)

        def keep(state: TrainingState) -> None:
            if commit is not None:  # first: a rank lost while rank 0 writes must not undo the state
                commit(state)
            if journal is not None:
                with ranks.alone.running():
                    journal.keep(state)

        started = time.monotonic()
        with profiled(trainer, journal.log.folder) if options.profile and journal is not None else nullcontext():
            history = trainer.fit(begin, keep, options.checkpoints.steps or (COMMIT_STEPS if commit else 0))
        trained = time.monotonic()
        if settings.optimizer.precision != "float32":
            # The saved model computes in full precision: scoring runs on CPUs.
            trainer.use(build_model(options, dataset, target, "float32", trainer.examples))
        if ranks.differing(trainer.model.get_weights()):
            ranks.fail("the ranks ended with different weights; the run was not written")
        splits = [split for split in dataset.metadata["files"] if split != "train"]
        predictions = {split: predicted for split in splits if (predicted := trainer.predict(split)) is not None}
        seconds = {"training": trained - started, "inference": time.monotonic() - trained}
        evaluated = time.monotonic()
        training, metrics = _judge(options, dataset, target, predictions, ranks)
        seconds["evaluation"] = time.monotonic() - evaluated
    if journal is None:
        return None
    training = with_ancestors(checkpoints.warehouse, options.init_from, training)
    recorded = recorded_options(options) | {"run": run, "ranks": ranks.size, "seconds": seconds}
    recorded |= {"global_batch_size": trainer.global_batch, "streams": trainer.streams}
    return FinishedRun(
        run, trainer.model, dataset, target, recorded, history, metrics, predictions, training, journal.copy_to
    )


def _make_trainer(
    options: TrainOptions, dataset: Dataset, target: Target, settings: TrainingSettings, ranks: Ranks, *, is_new: bool
) -> Trainer:
    """Return the trainer of a model; a new run starts from the weights of ``--init-from``."""
    from training.loop.target_summary import summarise
    from training.loop.trainer import Trainer
    from training.runs.initial_weights import start_from

    examples, _, _ = summarise(dataset, target, ranks)
    model = build_model(options, dataset, target, settings.optimizer.dtype_policy, examples)
    if is_new and options.init_from:  # the trainer copies the weights to the other ranks
        start = partial(start_from, dataset.warehouse, options.init_from, model, dataset, target)
        started_from = ranks.first_does(start)
        if ranks.is_first:
            print(started_from, file=sys.stderr, flush=True)
    return Trainer(model, dataset, target, settings, ranks)


def _judge(
    options: TrainOptions, dataset: Dataset, target: Target, predictions: Mapping[str, Predictions], ranks: Ranks
) -> tuple[TrainingTruths, dict[str, Any]]:
    """Return the truths of the train split, and the metrics of all splits with predictions."""
    from msd_spark.core.bootstrap import Bootstrap
    from training.evaluation.judgement import judge_splits, read_training_truths

    training = read_training_truths(dataset, target)
    metrics = judge_splits(
        dataset,
        target,
        predictions,
        training,
        baselines=options.baselines,
        inputs=options.model.inputs,
        bootstrap=Bootstrap(seed=options.training.seed),
        mapper=ranks.map,
    )
    return training, metrics


def _begin(checkpoints: Checkpoints, options: TrainOptions) -> TrainingState | None:
    """Return the state to resume from; that of a finished run must not be the end of the training."""
    state, training = checkpoints.begin(resume=options.resume, overwrite=options.overwrite), options.training
    if state is None or (checkpoints.exist and state.epoch <= training.epochs):
        return state
    if state.ended(training.epochs, training.patience):
        raise UserError(
            f"{checkpoints.run} has {state.epoch} epochs, the best is {state.best.epoch}: nothing to resume with "
            f"--epochs {training.epochs} and --patience {training.patience}; "
            "raise --epochs (and --patience, if that ended the run), or add --overwrite"
        )
    return state


def _other_ranks(state: TrainingState, ranks: Ranks) -> str:
    """Return a note about a changed number of ranks."""
    if state.ranks == ranks.size:
        return ""
    return f"; now {ranks.size} instead of {state.ranks} ranks share the {state.global_batch} examples of a step"


def _fixed_settings(options: TrainOptions, dataset: Dataset) -> dict[str, Any]:
    """Return the settings that must not change when a run is resumed: all but those that only end it."""
    training = asdict(options.training_settings())
    return {
        "model": options.model.name,
        "target": options.target,
        "init_from": options.init_from and "/".join(run_file(dataset.warehouse, options.init_from)),
        "dataset": {"name": dataset.name, "fingerprint": dataset.metadata["fingerprint"]},
        "model_settings": asdict(options.model_settings()),
        "training_settings": {name: training[name] for name in training if name not in ENDING},
    }


def build_model(
    options: TrainOptions, dataset: Dataset, target: Target, dtype_policy: str, examples: float
) -> keras.Model:
    """Return a model with the same initial weights on every rank.

    `examples` is the total weight of the training examples with the target.
    """
    import keras

    from training.models.build import MODELS

    keras.config.set_dtype_policy(dtype_policy)
    keras.utils.set_random_seed(options.training.seed)
    normalisation = dataset.metadata["normalisation"]
    make = MODELS[options.model.name]
    return make(dataset.geometry, target, normalisation, options.model_settings(), examples)


def recorded_options(options: TrainOptions) -> dict[str, Any]:
    """Return the options as metadata records them, with the settings of model and loop."""
    values = {
        declared.name.replace("-", "_"): value_at(options, declared.path)
        for declared in declared_options(TrainOptions)
        if declared.name not in NOT_RECORDED
    }
    return {name: value for name, value in values.items() if value is not None} | {
        "model_settings": asdict(options.model_settings()),
        "training_settings": asdict(options.training_settings()),
    }


def report(options: TrainOptions, run: FinishedRun, seconds: float, ranks: Ranks) -> None:
    """Print a summary, the metrics of the model and its baselines, and the next command."""
    from training.evaluation.table import metrics_table

    facts = [
        ("model", options.model.name),
        ("ranks", ranks.size),
        ("epochs", len(run.history)),
        ("seconds", f"{seconds:.1f}"),
        ("seconds of rank 0 alone", f"{ranks.alone.seconds:.1f} ({ranks.alone.seconds / seconds:.1%})"),
    ]
    print(tabulate(facts, headers=["train", ""], tablefmt="simple", colalign=("left", "right")))
    print(f"\n{metrics_table(run.metrics, run.target.headline_metrics)}")
    for warning in warnings_about(run):
        print(f"\n{warning}", file=sys.stderr, flush=True)
    place = [] if options.warehouse == DEFAULT_WAREHOUSE else ["--warehouse", options.warehouse]
    command = ["spark-submit", "jobs/score.py", *place, "--run", run.name]
    print(f"\nnext: {shlex.join(command)}", flush=True)


def warnings_about(run: FinishedRun) -> list[str]:
    """Return a warning for each split that has no example, or examples of one class only."""
    from training.evaluation.table import one_class_warning

    warnings = []
    for split in run.dataset.metadata["files"]:
        if split in run.metrics:
            warnings.append(one_class_warning(run.target, split, run.metrics[split]["model"]))
        elif split != "train":
            effect = "; the weights are those of the last epoch" if split == "validation" else ""
            warnings.append(f"WARNING: no example in {split} has {run.target.content}{effect}")
    return [warning for warning in warnings if warning]


def forget_models() -> None:
    """Release the models that Keras and TensorFlow hold, so that memory does not grow with each."""
    import gc

    import keras

    from training.data.assembly import forget_memory

    keras.backend.clear_session()
    forget_memory()
    gc.collect()
