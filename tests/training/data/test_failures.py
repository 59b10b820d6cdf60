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
from training.data.plan import RankPlan, plan_epoch
from training.data.reading import batches
from training.data.targets import target_of


@pytest.mark.parametrize(("ranks", "batch"), [(0, 1), (1, 0), (-2, 4)])
def test_a_plan_needs_a_rank_and_a_batch(ranks: int, batch: int) -> None:
    with pytest.raises(ValueError, match=f"ranks is {ranks} and batch is {batch}"):
        plan_epoch([1], ranks=ranks, batch=batch)


def test_a_missing_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Dataset.open(Warehouse(str(tmp_path)), "genre")
    assert str(caught.value) == f"table {tmp_path}/dataset/genre is missing; run msd-spark dataset first"


@pytest.mark.parametrize("planned", [4, 6, 12])
def test_another_number_of_rows_than_planned(tmp_path: Path, planned: int) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 2], "validation": [], "test": []}), "tiny")
    plan = RankPlan((0, 1), planned, -(-planned // 2))
    items: list[Any] = []
    with pytest.raises(UserError, match=f"^2 files have 5 rows instead of {planned}"):
        items.extend(batches(dataset.addresses("train"), plan, 2, dataset.geometry, target_of("genre", dataset)))
    assert len(items) <= plan.steps


def test_a_file_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 4], "validation": [], "test": []}), "tiny")
    path = dataset.addresses("train")[1].removeprefix("file://")
    pq.write_table(pq.read_table(path).slice(0, 3), path)
    (plan,) = plan_epoch(dataset.rows("train"), ranks=1, batch=4)
    with pytest.raises(UserError, match="2 files have 6 rows instead of 7; was the dataset replaced"):
        list(batches(dataset.addresses("train"), plan, 4, dataset.geometry, target_of("genre", dataset)))
