"""Write and read the folder of a finished run, ``models/RUN/``.

It has the model in the format of Keras, JSON files, and predictions as Parquet; no pickles. The metadata is written
last, so a folder with metadata is complete.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.revision import code_revision
from msd_spark.core.runs import HISTORY, METADATA, METRICS, MODEL, RUNS, model_layers, run_file
from msd_spark.core.warehouse import Warehouse
from msd_spark.environment.doctor import tensorflow_package
from training.data.dataset import Dataset
from training.data.predictions import Predictions
from training.data.targets.target import Target
from training.evaluation.baselines import TrainingTruths
from training.evaluation.fit import factors_of
from training.runs.model_card import write_model_card
from training.runs.predictions_table import predictions_table

TRAINING_EXAMPLES = "training_examples.parquet"
"""Track id, artist group and class of every training example, to detect leaks."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    Attributes
    ----------
    arguments : dict
        Options of the command and the settings that follow from them.
    history : list of dict
        One row of metrics per epoch.
    metrics : dict
        By split and candidate; see `training.evaluation.judgement.judge`.
    add_to : callable, optional
        Adds files to the folder of the run, given its path.
    """

    name: str
    model: keras.Model
    dataset: Dataset
    target: Target
    arguments: dict[str, Any]
    history: list[dict[str, Any]]
    metrics: dict[str, Any]
    predictions: dict[str, Predictions]
    training: TrainingTruths
    add_to: Callable[[str], None] | None = None


def write_run(warehouse: Warehouse, run: FinishedRun) -> None:
    """Write a finished run to ``models/RUN``; a run of that name is replaced.

    ``metadata.json`` is written last: it names the folder with the other files.
    """
    with warehouse.replacing_folder(RUNS, run.name) as folder:
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch, MODEL)
            run.model.save(local)
            warehouse.write_file(local.read_bytes(), *folder.names, MODEL)
        tables = {
            f"predictions/{split}.parquet": predictions_table(predicted, run.target)
            for split, predicted in run.predictions.items()
        }
        ids = {"track_id": run.training.track_ids.tolist(), "artist_group": run.training.artist_groups.tolist()}
        tables[TRAINING_EXAMPLES] = pa.table({**ids, "class": run.training.classes})
        warehouse.make_folder(f"{folder.path}/predictions")
        for file, table in tables.items():
            pq.write_table(table, f"{folder.path}/{file}", filesystem=warehouse.filesystem, compression="zstd")
        if run.add_to is not None:
            run.add_to(folder.path)
        warehouse.write_json(run.history, *folder.names, HISTORY)
        warehouse.write_json(run.metrics, *folder.names, METRICS)
        folder.point_by_json(METADATA, _metadata(run))
    write_model_card(warehouse, run.name)


def _metadata(run: FinishedRun) -> dict[str, Any]:
    dataset = run.dataset.metadata
    return {
        "run": run.name,
        "model": run.model.name,
        "parameters": run.model.count_params(),
        "target": {
            "name": run.target.name,
            "class_names": list(run.target.class_names),
            "prior": run.training.prior.tolist(),
        },
        "labels": run.dataset.labels,
        "geometry": dataset["geometry"],
        "normalisation": dataset["normalisation"],
        "lyric_vectors": dataset["lyric_vectors"],
        "words": dataset["words"],
        "factors": factors_of(run.dataset),
        "dataset": {
            "name": run.dataset.name,
            "fingerprint": dataset["fingerprint"],
            "split_rule": dataset["split_rule"],
            "training_examples": len(run.training.track_ids),
        },
        "arguments": run.arguments,
        "git_revision": code_revision(),
        "versions": {
            package: version(package) for package in (tensorflow_package(), "keras", "horovod", "numpy", "scikit-learn")
        },
    }


def read_model(warehouse: Warehouse, run: str) -> keras.Model:
    """Load the model of a run in safe mode: no code from its file is executed."""
    with tempfile.TemporaryDirectory() as scratch:
        local = Path(scratch, MODEL)
        content = warehouse.read_file(*run_file(warehouse, run, MODEL))
        model_layers(content, run)
        local.write_bytes(content)
        return keras.models.load_model(local, compile=False, safe_mode=True)


def read_training(warehouse: Warehouse, metadata: dict[str, Any]) -> TrainingTruths:
    """Return the truths of a run's training examples."""
    table = warehouse.read_parquet(*run_file(warehouse, metadata["run"], TRAINING_EXAMPLES))
    track_ids, groups = (np.array(table[name].to_pylist(), dtype=str) for name in ("track_id", "artist_group"))
    prior = np.array(metadata["target"]["prior"], np.float64)
    return TrainingTruths(track_ids, groups, prior, table["class"].to_numpy())
