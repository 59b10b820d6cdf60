"""Finished runs and datasets of a warehouse: their file names, metadata and defaults."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from typing import Any

from msd_spark.core.errors import DamagedError, UserError
from msd_spark.core.warehouse import FOLDER, Warehouse

RUNS = "models"
MODEL = "model.keras"
METADATA = "metadata.json"
METRICS = "metrics.json"
HISTORY = "history.json"

_CODE = ("Lambda", "__lambda__")
"""Keras' names of classes with code."""

COMPARISONS = "comparisons"
"""Folder of the warehouse for ``NAME/comparison.json`` and ``.md``, and times in ``NAME/runs/RUN.json``."""

EVALUATIONS = "evaluations"
"""Folder of the warehouse for ``RUN/DATASET-SPLIT.json`` and ``.parquet``, and ``RUN/cold-songs.json``."""

STUDIES = "studies"

DATASETS = "dataset"
DATASET_FILE = "_metadata.json"
"""Metadata of a dataset: a side file of its table."""

NEEDED = (FOLDER, "target", "dataset", "geometry", "normalisation", "lyric_vectors")
"""Keys that a run's metadata must have."""


def read_run(warehouse: Warehouse, run: str) -> dict[str, Any]:
    """Return a finished run's metadata."""
    try:
        metadata = dict(warehouse.read_json(RUNS, run, METADATA))
    except FileNotFoundError:
        names = ", ".join(finished_runs(warehouse)) or "none; run msd-spark train first"
        raise UserError(f"no finished run models/{run}; finished: {names}") from None
    except (TypeError, ValueError):
        raise DamagedError(f"models/{run}/{METADATA} is not a JSON object; run msd-spark train again") from None
    missing = [name for name in NEEDED if name not in metadata]
    if missing:
        raise UserError(
            f"models/{run}/{METADATA} lacks {', '.join(missing)}; another version wrote it, run msd-spark train again"
        )
    return metadata


def label_set_of_run(warehouse: Warehouse, run: str) -> str | None:
    """Return the label set of a run's dataset; None if the run or the dataset is missing."""
    if not warehouse.exists(RUNS, run, METADATA):
        return None
    dataset = str((warehouse.read_json(RUNS, run, METADATA).get("dataset") or {}).get("name"))
    if not warehouse.exists(DATASETS, dataset, DATASET_FILE):
        return None
    return warehouse.read_json(DATASETS, dataset, DATASET_FILE).get("label_set") or None


def model_layers(content: bytes, run: str) -> list[dict[str, Any]]:
    """Return the layers that the model file of a run describes.

    Raises `UserError` for a damaged file, and for one with code, which Keras would refuse with a traceback.
    """
    file = f"{RUNS}/{run}/{MODEL}"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content_of = json.loads(archive.read("config.json"))
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
        layers, has_code = list(content_of["config"]["layers"]), _has_code(content_of)
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{file} is not a Keras model ({error!r}); run msd-spark train again") from None
    if has_code:
        raise UserError(f"{file} has a Lambda layer, whose code is never run; run msd-spark train with another model")
    return layers


def _has_code(node: Any) -> bool:
    if isinstance(node, dict):
        return node.get("class_name") in _CODE or any(map(_has_code, node.values()))
    return isinstance(node, list) and any(map(_has_code, node))


def run_file(warehouse: Warehouse, run: str, *names: str) -> tuple[str, ...]:
    """Return the place in the warehouse of a file of a finished run, other than its metadata."""
    return (RUNS, run, str(warehouse.read_json(RUNS, run, METADATA)[FOLDER]), *names)


def finished_runs(warehouse: Warehouse) -> list[str]:
    """Return the names of the finished runs, oldest first."""
    paths = {name: warehouse.path(RUNS, name, METADATA) for name in warehouse.folders(RUNS)}
    files = {info.path: info for info in warehouse.filesystem.get_file_info(list(paths.values())) if info.is_file}
    finished = [name for name, path in paths.items() if path in files]
    return sorted(finished, key=lambda name: (files[paths[name]].mtime_ns or 0, name))


def newest_run(warehouse: Warehouse) -> str:
    """Return the run that finished last: the default of ``--run``."""
    runs = finished_runs(warehouse)
    if not runs:
        raise UserError(f"no finished run in {warehouse.path(RUNS)}; run msd-spark train first")
    return runs[-1]


DERIVED = frozenset({"protocol", "folds"})
"""Keys in the metadata of datasets that are derived from others."""


def only_dataset(warehouse: Warehouse) -> str:
    """Return the name of the one dataset: the default of ``--dataset``.

    Datasets that ``train --protocol`` or ``compare --folds`` derived from others do not count.
    """
    names = [name for name in warehouse.folders(DATASETS) if warehouse.is_complete(DATASETS, name)]
    if len(names) > 1:
        names = [name for name in names if not DERIVED & set(warehouse.read_json(DATASETS, name, DATASET_FILE))]
    if not names:
        raise UserError(f"no dataset in {warehouse.path(DATASETS)}; run msd-spark dataset first")
    if len(names) > 1:
        raise UserError(f"several datasets in {warehouse.path(DATASETS)}: {', '.join(names)}; choose one by --dataset")
    return names[0]
