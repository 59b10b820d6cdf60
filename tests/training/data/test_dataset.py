from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import DamagedError
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


def test_targets_are_those_of_the_files_without_the_arrays_of_inputs(tmp_path: Path) -> None:
    rows = {"train": [4, 3], "validation": [], "test": [2]}
    dataset = Dataset.open(write_tiny_dataset(tmp_path, rows, targets=True, missing=0.3), "tiny")
    names = ["track_id", "genre_index", "has_genre", "tag_vector", "factors", "has_lyrics", "weight", "n_segments"]
    for split, sizes in rows.items():
        files = [dataset.read(split, number, names) for number in range(len(sizes))]
        expected = pa.concat_tables([*files, dataset.targets(split, names).slice(0, 0)])
        assert dataset.targets(split, names).equals(expected)
        assert list(dataset.places(split)) == [(file, row) for file, size in enumerate(sizes) for row in range(size)]
    assert not {"chroma", "timbre", "summary", "dynamics"} & set(dataset.targets("train").column_names)


def test_a_dataset_without_training_examples_has_a_schema_and_no_targets(tmp_path: Path) -> None:
    dataset = Dataset.open(write_tiny_dataset(tmp_path, {"train": [], "validation": [], "test": [2]}), "tiny")
    assert "chroma" in dataset.schema.names
    assert dataset.targets("train", ["track_id"]).num_rows == 0
    assert dataset.targets("test", ["track_id"]).num_rows == 2


@pytest.mark.parametrize("damage", ["missing", "truncated", "fewer rows"])
def test_damaged_targets_are_named(dataset: Dataset, damage: str) -> None:
    path = Path(dataset.warehouse.file("dataset", "tiny", "_targets_train.parquet"))
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    else:
        pq.write_table(pq.read_table(path).slice(3), path)
    with pytest.raises(
        DamagedError, match=r"the targets of train in dataset tiny are damaged .*; run msd-spark dataset again"
    ):
        dataset.targets("train", ["track_id"])
