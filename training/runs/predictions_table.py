"""Predictions as a table, in the folder of a run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from msd_spark.core.runs import run_file
from msd_spark.core.warehouse import Warehouse
from training.data.predictions import Predictions
from training.data.targets.target import NUMBERS, Target

SCORES = pa.list_(pa.float32())


def predictions_table(predictions: Predictions, target: Target) -> pa.Table:
    """Return predictions as a table.

    Columns: ``track_id``, ``artist_group``, ``true`` (null without a truth), ``predicted`` and, unless the target is
    numbers, ``probabilities`` in the order of the target's classes. Classes are names and labels lists of names.
    """
    truths = zip(target.describe(predictions.true), predictions.present, strict=True)
    columns = {
        "track_id": pa.array(predictions.track_ids.tolist()),
        "artist_group": pa.array(predictions.artist_groups.tolist()),
        "true": pa.array([truth if present else None for truth, present in truths], target.arrow_type),
        "predicted": pa.array(target.describe(target.decide(predictions.scores)), target.arrow_type),
    }
    if target.form != NUMBERS:
        columns["probabilities"] = pa.array(list(predictions.scores.astype(np.float32)), SCORES)
    return pa.table(columns)


def read_predictions(warehouse: Warehouse, run: str, split: str, target: Target) -> Predictions | None:
    """Return the predictions of a run with this target on a split; None if the split was empty."""
    names = run_file(warehouse, run, "predictions", f"{split}.parquet")
    if not warehouse.exists(*names):
        return None
    return from_table(warehouse.read_parquet(*names), target)


def from_table(table: pa.Table, target: Target) -> Predictions:
    """Return predictions from the result of `predictions_table`."""
    track_ids, groups = (np.array(table[name].to_pylist(), dtype=str) for name in ("track_id", "artist_group"))
    truths, scores = table["true"].to_pylist(), table["predicted" if target.form == NUMBERS else "probabilities"]
    present = np.array([truth is not None for truth in truths], dtype=bool)
    rows = np.array(scores.to_pylist(), np.float32).reshape(-1, target.size)
    return Predictions(track_ids, groups, target.restore(truths), rows, present)
