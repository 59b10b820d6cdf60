from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from msd_spark.core.schemas import GEOMETRY
from tests.support.tiny_dataset import LABELS, write_tiny_dataset
from training.data.dataset import Dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(write_tiny_dataset(tmp_path, {"train": [4, 3], "validation": [], "test": [2]}), "tiny")


def test_properties_come_from_the_metadata(dataset: Dataset) -> None:
    assert dataset.name == "tiny"
    assert dataset.labels == LABELS
    assert dataset.geometry == GEOMETRY
    assert [dataset.rows(split) for split in ("train", "validation", "test")] == [[4, 3], [], [2]]


def test_addresses_have_the_stated_numbers_of_rows(dataset: Dataset) -> None:
    for split in ("train", "validation", "test"):
        addresses = dataset.addresses(split)
        assert [pq.read_metadata(address.removeprefix("file://")).num_rows for address in addresses] == dataset.rows(
            split
        )
