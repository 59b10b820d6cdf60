"""Errors of reading a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from tests.support.tiny_dataset import write_tiny_dataset
from training.data.dataset import Dataset
from training.data.plan import plan_epoch
from training.data.reading import batches
from training.data.targets import target_of


def test_a_missing_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Dataset.open(Warehouse(str(tmp_path)), "genre")
    assert str(caught.value) == f"table {tmp_path}/dataset/genre is missing; run msd-spark dataset first"


@pytest.mark.parametrize("rows", [[3, 1], [3, 4], [8, 2]])
def test_another_number_of_rows_than_planned(tmp_path: Path, rows: list[int]) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 2], "validation": [], "test": []}), "tiny")
    (plan,) = plan_epoch(rows, ranks=1, global_batch=2)
    addresses, target = dataset.addresses("train"), target_of("genre", dataset)
    items: list[Any] = []
    with pytest.raises(UserError, match=f"^the files of this rank have 5 rows instead of {sum(rows)}"):
        items.extend(batches(addresses, rows, plan, dataset.geometry, target))
    assert len(items) == plan.steps


def test_a_file_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 4], "validation": [], "test": []}), "tiny")
    path = dataset.addresses("train")[1].removeprefix("file://")
    pq.write_table(pq.read_table(path).slice(0, 3), path)
    rows, target = dataset.rows("train"), target_of("genre", dataset)
    (plan,) = plan_epoch(rows, ranks=1, global_batch=4)
    with pytest.raises(UserError, match="the files of this rank have 6 rows instead of 7; run msd-spark dataset again"):
        list(batches(dataset.addresses("train"), rows, plan, dataset.geometry, target))
