"""Genres of ``labels/``, and which of them is displayed for a track."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from msd_spark.core.errors import UserError
from msd_spark.core.runs import label_set_of_run
from msd_spark.core.summary import SUMMARIES
from msd_spark.core.warehouse import Warehouse


def displayed_genres(warehouse: Warehouse, run: str, label_set: str | None = None) -> pd.Series:
    """Return the genre displayed for each track, by track id; empty without labels.

    By default the label set is that of the run (`label_set_of`).
    """
    name = label_set or label_set_of(warehouse, run)
    if name is None or (label_set is None and name not in label_sets(warehouse)):
        return pd.Series(dtype=object)
    labels = read_labels(warehouse, name).to_pandas().drop_duplicates("track_id")
    return labels.set_index("track_id")["genre"]


def label_set_of(warehouse: Warehouse, run: str) -> str | None:
    """Return the label set of a run's dataset, otherwise the first label set."""
    return label_set_of_run(warehouse, run) or min(label_sets(warehouse), default=None)


def label_sets(warehouse: Warehouse) -> list[str]:
    """Return the names of the label sets of ``labels/``, sorted; none if the table is missing."""
    if not warehouse.is_complete("labels"):
        return []
    return sorted(warehouse.read_table(["label_set"], "labels")["label_set"].unique().to_pylist())


def rare_genres(warehouse: Warehouse, label_set: str) -> int:
    """Return how many genres of a label set ``msd-spark labels`` left out; 0 if unknown."""
    if not warehouse.exists(SUMMARIES, "labels.json"):
        return 0
    details = warehouse.read_json(SUMMARIES, "labels.json").get("label_sets", {})
    return len(details.get(label_set, {}).get("rare_genres", {}))


def read_labels(warehouse: Warehouse, label_set: str) -> pa.Table:
    """Return the columns ``track_id`` and ``genre`` of a label set."""
    table = warehouse.read_table(["track_id", "genre"], "labels", filter=pads.field("label_set") == label_set)
    if not table.num_rows:
        names = ", ".join(label_sets(warehouse))
        rare = rare_genres(warehouse, label_set)
        if rare:
            raise UserError(
                f"all {rare} genres of label set {label_set} are rare, so labels/ has none of them; run msd-spark "
                f"labels with a lower --min-examples{f', or choose --label-set from: {names}' if names else ''}"
            )
        remedy = f"choose --label-set from: {names}" if names else "run msd-spark labels"
        raise UserError(f"labels/ has no label set {label_set}; {remedy}")
    return table
