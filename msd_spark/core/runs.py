"""Finished runs and datasets of a warehouse: their file names, metadata and defaults."""

from __future__ import annotations

from typing import Any

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse

RUNS = "models"
MODEL = "model.keras"
METADATA = "metadata.json"
METRICS = "metrics.json"
HISTORY = "history.json"

DATASETS = "dataset"

NEEDED = ("target", "dataset", "geometry", "normalisation", "lyric_vectors")
"""Keys that a run's metadata must have."""


def read_run(warehouse: Warehouse, run: str) -> dict[str, Any]:
    """Return a finished run's metadata."""
    if not warehouse.exists(RUNS, run, METADATA):
        names = ", ".join(finished_runs(warehouse))
        raise UserError(f"no finished run models/{run}; finished: {names or 'none; run msd-spark train first'}")
    metadata = dict(warehouse.read_json(RUNS, run, METADATA))
    missing = [name for name in NEEDED if name not in metadata]
    if missing:
        raise UserError(
            f"models/{run}/{METADATA} lacks {', '.join(missing)}; another version wrote it, run msd-spark train again"
        )
    return metadata


def finished_runs(warehouse: Warehouse) -> list[str]:
    """Return the names of the finished runs, oldest first."""
    return _with_metadata(warehouse, RUNS)


def newest_run(warehouse: Warehouse) -> str:
    """Return the run that finished last: the default of ``--run``."""
    runs = finished_runs(warehouse)
    if not runs:
        raise UserError(f"no finished run in {warehouse.path(RUNS)}; run msd-spark train first")
    return runs[-1]


def only_dataset(warehouse: Warehouse) -> str:
    """Return the name of the one dataset: the default of ``--dataset``.

    Datasets that ``train --protocol`` derived from others do not count.
    """
    names = sorted(_with_metadata(warehouse, DATASETS))
    if len(names) > 1:
        names = [name for name in names if "protocol" not in warehouse.read_json(DATASETS, name, METADATA)]
    if not names:
        raise UserError(f"no dataset in {warehouse.path(DATASETS)}; run msd-spark dataset first")
    if len(names) > 1:
        raise UserError(f"several datasets in {warehouse.path(DATASETS)}: {', '.join(names)}; choose one by --dataset")
    return names[0]


def _with_metadata(warehouse: Warehouse, folder: str) -> list[str]:
    """Return the folders below `folder` that hold a metadata file, oldest first."""
    prefix, suffix = warehouse.path(folder) + "/", f"/{METADATA}"
    files = [info for info in warehouse.list_files(warehouse.path(folder)) if info.path.endswith(suffix)]
    files.sort(key=lambda info: (info.mtime_ns or 0, info.path))
    names = [info.path.removeprefix(prefix).removesuffix(suffix) for info in files]
    return [name for name in names if "/" not in name]
