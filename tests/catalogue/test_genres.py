from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from msd_spark.catalogue.genres import displayed_genres, label_set_of
from msd_spark.core.errors import UserError
from msd_spark.core.runs import DATASET_FILE
from msd_spark.core.schemas import EXAMPLES, LABELS
from msd_spark.core.warehouse import Warehouse

ROWS = [("TRA", "Rap", "cd2"), ("TRA", "Hip Hop", "magd"), ("TRB", "Jazz", "magd")]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    one = Warehouse(str(tmp_path))
    rows = [
        {"track_id": track, "genre": genre, "minority_genre": None, "label_set": name} for track, genre, name in ROWS
    ]
    one.write_arrow(pa.Table.from_pylist(rows, LABELS), "labels")
    return one


def test_genres_are_of_the_label_set_that_the_run_was_trained_on(warehouse: Warehouse) -> None:
    warehouse.write_json({"dataset": {"name": "d"}}, "models", "run", "metadata.json")
    with warehouse.overwriting(EXAMPLES, "dataset", "d", partition_by="split") as writer:
        writer.write_json({"label_set": "magd"}, DATASET_FILE)
    assert label_set_of(warehouse, "run") == "magd"
    assert displayed_genres(warehouse, "run").to_dict() == {"TRA": "Hip Hop", "TRB": "Jazz"}
    assert displayed_genres(warehouse, "run", "cd2").to_dict() == {"TRA": "Rap"}
    with pytest.raises(UserError, match="no label set cd1; choose --label-set from: cd2, magd"):
        displayed_genres(warehouse, "run", "cd1")


@pytest.mark.parametrize("dataset", [None, {"name": "gone"}])
def test_without_its_dataset_a_run_has_the_first_label_set(
    warehouse: Warehouse, dataset: dict[str, str] | None
) -> None:
    warehouse.write_json({"dataset": dataset}, "models", "run", "metadata.json")
    assert label_set_of(warehouse, "run") == "cd2"
    warehouse.remove("labels")
    assert displayed_genres(warehouse, "run").empty
