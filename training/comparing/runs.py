"""Plan the runs of a comparison, train those that are missing, and read their results."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from msd_spark.core.errors import UserError
from msd_spark.core.runs import COMPARISONS, HISTORY, METADATA, METRICS, RUNS, run_file
from msd_spark.core.warehouse import Warehouse
from training.comparing.options import CompareOptions
from training.loop import session
from training.loop.checkpoints import Checkpoints, differences
from training.loop.options import TrainOptions

if TYPE_CHECKING:
    from training.comparing.comparison import Combination
    from training.data.dataset import Dataset
    from training.data.predictions import Predictions
    from training.data.targets.target import Target
    from training.ranks.ranks import Ranks


@dataclass(frozen=True)
class Run:
    """One run of a comparison: a model and its inputs with one seed (or repeat).

    It is trained on `dataset`.
    """

    name: str
    model: str
    inputs: str
    seed: int
    options: TrainOptions
    dataset: str | None = None


def plan_runs(options: CompareOptions) -> list[Run]:
    """Return the runs of a comparison, seed by seed, so that an unfinished one is also fair."""
    runs = []
    for seed, dataset, suffix in _parts(options):
        for model in options.model_names:
            for inputs in options.input_names:
                name = f"{options.name}-{model}-{inputs}-{suffix}"
                own = replace(
                    options.training,
                    warehouse=options.warehouse,
                    dataset=dataset,
                    run=name,
                    # A run that was interrupted resumes from its checkpoint.
                    resume=not options.training.overwrite,
                    model=replace(options.training.model.of(model), inputs=inputs),
                    training=replace(options.training.training, seed=seed),
                )
                own.model_settings()
                runs.append(Run(name, model, inputs, seed, own, dataset))
    return runs


def _parts(options: CompareOptions) -> Iterator[tuple[int, str | None, str]]:
    """Yield seed, dataset and suffix of the runs of each training of a combination."""
    if not options.folds:
        yield from ((seed, options.dataset, str(seed)) for seed in range(options.seeds))
    for repeat in range(options.repeats if options.folds else 0):
        for fold in range(options.folds):
            yield repeat, f"{options.name}-r{repeat}-f{fold}", f"r{repeat}-f{fold}"


def open_datasets(
    options: CompareOptions, dataset: Dataset, ranks: Ranks, *, validate_on_test: bool = False
) -> dict[str, Dataset]:
    """Return the datasets of the runs by name; those of folds are written if they are missing."""
    from training.comparing.folds import fold_datasets
    from training.data.dataset import Dataset
    from training.data.targets import target_of
    from training.data.targets.target import NONE

    if not options.folds:
        return {dataset.name: dataset}
    target, second = target_of(options.training.target, dataset), options.training.training.embedding.also
    also = None if second == NONE else target_of(second, dataset)
    names: list[str] = ranks.first_does(
        lambda: [
            name
            for repeat in range(options.repeats)
            for name in fold_datasets(
                dataset,
                target,
                options.name,
                options.folds,
                repeat,
                also=also,
                validate_on_test=validate_on_test,
            )
        ]
    )
    return {name: Dataset.open(dataset.warehouse, name, dataset.reading_settings) for name in names}


def is_finished(warehouse: Warehouse, run: Run, fingerprint: str) -> bool:
    """Return whether a run is finished; raise if it has other settings or another dataset."""
    if run.options.overwrite or not warehouse.exists(RUNS, run.name, METADATA):
        return False
    metadata, now = warehouse.read_json(RUNS, run.name, METADATA), session.recorded_options(run.options)
    names = ("model", "target", "init_from", "model_settings", "training_settings")
    before = {name: metadata["arguments"].get(name) for name in names}
    changes = differences(
        before | {"dataset": metadata["dataset"]["fingerprint"]},
        json.loads(json.dumps({name: now.get(name) for name in names} | {"dataset": fingerprint})),
    )
    if changes:
        changed = "; ".join(f"{name} was {first}, now {second}" for name, (first, second) in changes.items())
        raise UserError(f"{RUNS}/{run.name} has other settings: {changed}. Choose another --name, or add --overwrite")
    return True


def train_missing(
    warehouse: Warehouse, name: str, datasets: Mapping[str, Dataset], runs: Sequence[Run], ranks: Ranks
) -> None:
    """Train the runs that are not finished, one at a time on all ranks."""
    from training.runs.run_folder import write_run

    fingerprints = {name: dataset.metadata["fingerprint"] for name, dataset in datasets.items()}
    missing = ranks.first_does(
        lambda: [run.name for run in runs if not is_finished(warehouse, run, fingerprints[str(run.dataset)])]
    )
    if ranks.is_first and len(missing) < len(runs):
        print(f"{len(runs) - len(missing)} of {len(runs)} runs are finished", file=sys.stderr, flush=True)
    for number, run in enumerate(runs, 1):
        if run.name not in missing:
            continue
        if ranks.is_first:
            print(f"\n[{number}/{len(runs)}] {run.name}", file=sys.stderr, flush=True)
        resumed = Checkpoints(warehouse, run.name, {}).exist
        started = time.monotonic()
        finished = session.train(run.options, datasets[str(run.dataset)], ranks)
        if finished is not None:
            write_run(warehouse, finished)
            seconds = time.monotonic() - started
            session.report(run.options, finished, seconds, ranks)
            # The time of a resumed run would be too short.
            content = {"run": run.name, "ranks": ranks.size, "seconds": None if resumed else round(seconds, 2)}
            warehouse.write_json(content, COMPARISONS, name, "runs", f"{run.name}.json")
        del finished
        session.forget_models()


def read_networks(
    warehouse: Warehouse, options: CompareOptions, runs: Sequence[Run], target: Target
) -> dict[Combination, dict[int, Predictions]]:
    """Return the pooled predictions of finished runs, by combination and seed."""
    from training.comparing.comparison import Combination, pooled_folds
    from training.runs.predictions_table import read_predictions

    parts: dict[Combination, dict[int, list[Predictions]]] = {}
    for run in runs:
        predicted = read_predictions(warehouse, run.name, options.split, target)
        if predicted is None:
            raise UserError(f"{options.split} of dataset {run.dataset} is empty; choose another --split")
        parts.setdefault(Combination(run.model, run.inputs), {}).setdefault(run.seed, []).append(predicted)
    return {
        combination: {seed: pooled_folds(of_seed) for seed, of_seed in by_seed.items()}
        for combination, by_seed in parts.items()
    }


def compare_runs(
    warehouse: Warehouse,
    options: CompareOptions,
    dataset: Dataset,
    runs: Sequence[Run],
    learned: Mapping[Combination, Mapping[int, Predictions]],
    notes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of ``comparison.json``, from the folders of the runs."""
    import numpy as np

    from msd_spark.core.bootstrap import Bootstrap
    from training.comparing.comparison import Combination, compare, pool
    from training.data.targets import target_of

    target, bootstrap = target_of(options.training.target, dataset), Bootstrap()
    networks = read_networks(warehouse, options, runs, target)
    predictions = {**learned, **networks}
    metrics = target.main_metrics
    rows = compare(
        pool(target, predictions, metrics, bootstrap), metrics, options.compared_with, bootstrap, list(learned)
    )
    for row in rows:
        if Combination(row["model"], row["inputs"]) in learned:
            continue
        own = [run for run in runs if (run.model, run.inputs) == (row["model"], row["inputs"])]
        places = ((COMPARISONS, options.name, "runs", f"{run.name}.json") for run in own)
        times = [warehouse.read_json(*place)["seconds"] for place in places if warehouse.exists(*place)]
        seconds = [known for known in times if known is not None]  # resumed runs have none
        epochs = [len(warehouse.read_json(*run_file(warehouse, run.name, HISTORY))) for run in own]
        row |= {
            "parameters": warehouse.read_json(RUNS, own[0].name, METADATA)["parameters"],
            "epochs": sum(epochs) / len(epochs),
            "seconds": sum(seconds) / len(seconds) if seconds else None,
            "runs": [run.name for run in own],
        }
    with_truth = networks[Combination(runs[0].model, runs[0].inputs)][runs[0].seed].judged()
    # Those of one fold are not comparable with pooled predictions.
    baselines = {} if options.folds else warehouse.read_json(*run_file(warehouse, runs[0].name, METRICS))[options.split]
    return {
        "name": options.name,
        "dataset": {"name": dataset.name, "fingerprint": dataset.metadata["fingerprint"]},
        "split": options.split,
        "target": target.name,
        "examples": len(with_truth),
        "artists": len(np.unique(with_truth.artist_groups)),
        "seeds": sorted({run.seed for run in runs}),
        "folds": options.folds,
        "baseline_fits": notes,
        "figures": list(metrics),
        "reference": options.compared_with,
        "bootstrap": asdict(bootstrap),
        "training_settings": asdict(runs[0].options.training_settings()),
        "rows": rows,
        "baselines": {name: values for name, values in baselines.items() if name != "model"},
    }
