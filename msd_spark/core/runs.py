"""What lies in ``models/RUN/`` and ``dataset/NAME/``, by the names that who writes it and who reads it have for it."""

from __future__ import annotations

from typing import Any

from msd_spark.core.errors import StageError
from msd_spark.core.warehouse import Warehouse

RUNS = "models"
MODEL = "model.keras"
METADATA = "metadata.json"
METRICS = "metrics.json"
HISTORY = "history.json"

NEEDED = ("target", "dataset", "geometry", "normalisation", "lyric_vectors")
"""What a run's metadata must say for its model to be used."""


def read_run(warehouse: Warehouse, run: str, stage: str) -> dict[str, Any]:
    """Return a finished run's metadata.

    Parameters
    ----------
    warehouse : Warehouse
    run : str
    stage : str
        Who asks, for the error.

    Raises
    ------
    StageError
        When there is no such run, with the ones there are; when its metadata lack what is needed.
    """
    if not warehouse.exists(RUNS, run, METADATA):
        prefix, suffix = warehouse.path(RUNS) + "/", f"/{METADATA}"
        paths = [info.path.removeprefix(prefix) for info in warehouse.list_files(warehouse.path(RUNS))]
        there = ", ".join(sorted(path.removesuffix(suffix) for path in paths if path.endswith(suffix)))
        raise StageError(
            stage, f"no finished run models/{run}; finished ones: {there or 'none yet (see training/train.py)'}"
        )
    metadata = dict(warehouse.read_json(RUNS, run, METADATA))
    missing = [name for name in NEEDED if name not in metadata]
    if missing:
        raise StageError(
            stage,
            f"models/{run}/{METADATA} says nothing of {', '.join(missing)}; another version wrote it, train again",
        )
    return metadata
