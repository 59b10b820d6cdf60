"""Predictions as a finished run keeps them, read back: the reverse of `training.runs.run_folder.predictions_table`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from msd_spark.core.runs import RUNS
from msd_spark.core.warehouse import Warehouse
from training.data.predictions import Predictions
from training.data.targets import FACTORS, TAGS, Target


def read_predictions(warehouse: Warehouse, run: str, split: str, target: Target) -> Predictions | None:
    """Return a run's predictions on a split; None where the split was empty.

    Parameters
    ----------
    warehouse : Warehouse
    run : str
    split : str
    target : Target
        The run's own: names of classes and tags in its order.
    """
    names = (RUNS, run, "predictions", f"{split}.parquet")
    if not warehouse.exists(*names):
        return None
    return from_table(pq.read_table(warehouse.path(*names), filesystem=warehouse.filesystem, partitioning=None), target)


def from_table(table: pa.Table, target: Target) -> Predictions:
    """Return the predictions that a table holds.

    Parameters
    ----------
    table : pyarrow.Table
        As `training.runs.run_folder.predictions_table` makes it.
    target : Target
    """
    track_ids, groups = (np.array(table[name].to_pylist(), dtype=str) for name in ("track_id", "artist_group"))
    kept, scores = table["true"].to_pylist(), table["predicted" if target.name == FACTORS else "probabilities"]
    present = np.array([true is not None for true in kept], dtype=bool)
    numbers = {name: number for number, name in enumerate(target.class_names)}
    true: np.ndarray
    if target.name == FACTORS:
        true = np.array([row or [0.0] * target.size for row in kept], np.float32).reshape(-1, target.size)
    elif target.name == TAGS:
        true = np.zeros((len(kept), target.size), np.float32)
        for row, tags in zip(true, kept, strict=True):
            row[[numbers[tag] for tag in tags or ()]] = 1
    else:
        true = np.array([0 if name is None else numbers[name] for name in kept], np.int32)
    rows = np.array(scores.to_pylist(), np.float32).reshape(-1, target.size)
    return Predictions(track_ids, groups, true, rows, present)
