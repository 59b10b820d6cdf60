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


def test_a_dataset_says_what_its_metadata_say(dataset: Dataset) -> None:
    assert dataset.name == "tiny"
    assert dataset.labels == LABELS
    assert dataset.geometry == GEOMETRY
    assert [dataset.rows(split) for split in ("train", "validation", "test")] == [[4, 3], [], [2]]


def test_addresses_lead_to_files_with_as_many_rows(dataset: Dataset) -> None:
    for split in ("train", "validation", "test"):
        addresses = dataset.addresses(split)
        assert [pq.read_metadata(address.removeprefix("file://")).num_rows for address in addresses] == dataset.rows(
            split
        )


def test_genres_are_counted_in_the_order_of_their_index(dataset: Dataset) -> None:
    (address,) = dataset.addresses("test")
    indices = pq.read_table(address.removeprefix("file://"))["genre_index"].to_pylist()
    assert dataset.genre_counts("test").tolist() == [indices.count(number) for number in range(len(LABELS))]
    assert dataset.genre_counts("train").sum() == 7
