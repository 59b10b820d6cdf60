"""What each module refuses: the kind of error or the reason, and that the message names the thing."""

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
from training.data.targets import Target

TRACK = "TRAAAAV128F421A322"
NAN = float("nan")


# Features, splits, plans


@pytest.mark.parametrize(("ranks", "batch"), [(0, 1), (1, 0), (-2, 4)])
def test_plans_for_no_ranks_or_batches_of_nothing(ranks: int, batch: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, not {ranks} and {batch}"):
        plan_epoch([1], ranks=ranks, batch=batch)


# Ingest


# The pipeline


# Training


def test_a_dataset_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Dataset.open(Warehouse(str(tmp_path)), "genre")
    assert str(caught.value) == f"table {tmp_path}/dataset/genre is missing or incomplete; run msd-spark dataset first"


@pytest.mark.parametrize("planned", [4, 6, 12])
def test_other_rows_than_planned(tmp_path: Path, planned: int) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 2], "validation": [], "test": []}), "tiny")
    plan = RankPlan((0, 1), planned, -(-planned // 2))
    given: list[Any] = []
    with pytest.raises(UserError, match=f"^train: {planned} rows planned and 5 read from 2 files"):
        given.extend(batches(dataset.addresses("train"), plan, 2, dataset.geometry, Target.of("genre", dataset)))
    assert len(given) <= plan.steps


def test_a_file_that_was_replaced_by_a_shorter_one(tmp_path: Path) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [3, 4], "validation": [], "test": []}), "tiny")
    path = dataset.addresses("train")[1].removeprefix("file://")
    pq.write_table(pq.read_table(path).slice(0, 3), path)
    (plan,) = plan_epoch(dataset.rows("train"), ranks=1, batch=4)
    with pytest.raises(UserError, match="7 rows planned and 6 read from 2 files; was the dataset replaced"):
        list(batches(dataset.addresses("train"), plan, 4, dataset.geometry, Target.of("genre", dataset)))
