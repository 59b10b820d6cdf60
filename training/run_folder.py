"""The folder of a run, ``models/RUN/``: the model and all that scoring and people need to know of it.

It holds no pickle: the model in Keras's own format, JSON beside it, predictions as Parquet.
The metadata is written last, so a folder that has it is whole.
"""

from __future__ import annotations

import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.errors import StageError
from msd_spark.run_metadata import HISTORY, METADATA, METRICS, MODEL, RUNS
from msd_spark.warehouse import Warehouse
from training.dataset import STAGE, Dataset
from training.loop import Predictions


def git_revision() -> str | None:
    """Return the revision of the code that runs, with ``-dirty`` where files were changed; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None


def check_free(warehouse: Warehouse, run: str) -> None:
    """Refuse a run whose folder is already whole.

    Raises
    ------
    StageError
        When ``models/RUN`` holds a finished run.
    """
    if warehouse.exists(RUNS, run, METADATA):
        raise StageError(STAGE, f"models/{run} is there already; name another --run, or say --overwrite")


def write_run(
    warehouse: Warehouse,
    run: str,
    model: keras.Model,
    dataset: Dataset,
    arguments: dict[str, Any],
    history: list[dict[str, Any]],
    metrics: dict[str, Any],
    predictions: dict[str, Predictions],
) -> None:
    """Write a finished run to ``models/RUN``, replacing what stood there."""
    with warehouse.replacing(RUNS, run) as staging:
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch, MODEL)
            model.save(local)
            with warehouse.filesystem.open_output_stream(f"{staging}/{MODEL}") as sink:
                sink.write(local.read_bytes())
        for split, made in predictions.items():
            warehouse.filesystem.create_dir(f"{staging}/predictions")
            pq.write_table(
                _predictions_table(made, dataset),
                f"{staging}/predictions/{split}.parquet",
                filesystem=warehouse.filesystem,
            )
        name = staging.removeprefix(warehouse.root + "/")
        warehouse.write_json(history, name, HISTORY)
        warehouse.write_json(metrics, name, METRICS)
        metadata = {
            "run": run,
            "model": model.name,
            "parameters": model.count_params(),
            "labels": dataset.labels,
            "geometry": dataset.metadata["geometry"],
            "normalisation": dataset.metadata["normalisation"],
            "lyric_vectors": dataset.metadata["lyric_vectors"],
            "dataset": {
                "name": dataset.name,
                "fingerprint": dataset.metadata["fingerprint"],
                "split_rule": dataset.metadata["split_rule"],
            },
            "arguments": arguments,
            "git_revision": git_revision(),
            "versions": {package: version(package) for package in ("tensorflow", "keras", "horovod", "numpy")},
        }
        warehouse.write_json(metadata, name, METADATA)


def _predictions_table(predictions: Predictions, dataset: Dataset) -> pa.Table:
    labels = pa.array(dataset.labels)
    return pa.table(
        {
            "track_id": pa.array(predictions.track_ids.tolist()),
            "genre": labels.take(pa.array(predictions.true)),
            "predicted_genre": labels.take(pa.array(predictions.probabilities.argmax(axis=1))),
            "genre_probabilities": pa.array(list(predictions.probabilities), pa.list_(pa.float32())),
        }
    )
