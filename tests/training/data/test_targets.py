from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from msd_spark.core.errors import UserError
from tests.support.decoded import decoded
from tests.support.tiny_dataset import FACTOR_SIZE, LABELS, TAGS, write_tiny_dataset
from training.data.dataset import Dataset
from training.data.targets import TARGETS, target_of
from training.loop.target_summary import summarise
from training.ranks.ranks import Ranks

ROWS = {"train": [12, 9, 1], "validation": [], "test": []}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("targets")
    return Dataset.open(write_tiny_dataset(folder, ROWS, targets=True, missing=0.3), "tiny")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset.open(write_tiny_dataset(tmp_path_factory.mktemp("plain"), ROWS), "tiny")


def test_a_target_is_as_the_dataset_has_it(dataset: Dataset) -> None:
    genre, tags, popularity, factors = (target_of(name, dataset) for name in TARGETS)
    assert (genre.size, genre.class_names, genre.column, genre.presence) == (
        3,
        tuple(LABELS),
        "genre_index",
        "has_genre",
    )
    assert (tags.size, tags.class_names, tags.column, tags.presence) == (4, tuple(TAGS), "tag_vector", "has_tags")
    assert (popularity.size, popularity.column, popularity.presence) == (10, "popularity_decile", "has_listens")
    assert (factors.size, factors.column, factors.presence) == (FACTOR_SIZE, "factors", "has_factors")
    assert [target.is_vector for target in (genre, tags, popularity, factors)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tags", "no column tag_vector; run msd-spark labels with a source of tags, then msd-spark dataset --tags 50"),
        ("factors", "no column factors; run msd-spark plays and msd-spark factors, then msd-spark dataset --factors"),
    ],
)
def test_the_error_for_a_missing_column_names_the_commands_that_write_it(
    plain: Dataset, name: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        target_of(name, plain)
    assert str(caught.value) == f"dataset tiny has {message}"


@pytest.mark.parametrize("name", TARGETS)
def test_a_summary_counts_the_examples_that_have_the_target(dataset: Dataset, name: str) -> None:
    target = target_of(name, dataset)
    rows = [
        row
        for address in dataset.addresses("train")
        for row in decoded(pq.read_table(address.removeprefix("file://"))).to_dict("records")
        if row[target.presence]
    ]
    assert 0 < len(rows) < 22
    examples, totals, mean_square = summarise(dataset, target, Ranks.join())
    assert examples == len(rows)
    if target.is_vector:
        values = np.array([row[target.column] for row in rows])
        np.testing.assert_allclose(totals, values.sum(axis=0), rtol=1e-6, atol=1e-6)
    else:
        assert totals.tolist() == [sum(row[target.column] == index for row in rows) for index in range(target.size)]
    if name == "factors":
        assert mean_square == pytest.approx((values**2).sum(axis=1).mean(), rel=1e-6)


def test_a_column_in_which_no_example_has_the_target_is_an_error(plain: Dataset) -> None:
    with pytest.raises(UserError, match="none of the 22 examples in train of dataset tiny has play counts"):
        summarise(plain, target_of("popularity", plain), Ranks.join())
