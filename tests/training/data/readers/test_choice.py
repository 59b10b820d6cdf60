from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.object_store import ObjectStore
from tests.support.tiny_dataset import examples
from training.data.readers.choice import READERS, Reading

COLUMNS = ["weight", "track_id", "chroma", "genre_index"]
BUCKET = "readers"


@pytest.fixture(params=["local", "s3"])
def addresses(
    request: pytest.FixtureRequest, tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Two files with two row groups each, in an order that is not alphabetical, one of them twice."""
    for number, name in enumerate(("b", "a")):
        table = examples(7, np.random.default_rng(number), name)
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=4)
    root = f"file://{tmp_path}"
    if request.param == "s3":
        for variable, value in store.environment().items():
            monkeypatch.setenv(variable, value)
        store.create(BUCKET)
        store.put_folder(BUCKET, tmp_path, "w")
        root = f"s3://{BUCKET}/w"
    return [f"{root}/{name}.parquet" for name in ("b", "a", "b")]


def test_readers_yield_the_same_row_groups_in_order(addresses: list[str]) -> None:
    tables = {reader: list(Reading(reader).row_groups(addresses, COLUMNS)) for reader in READERS}
    for group, other in zip(*tables.values(), strict=True):
        assert group.select(COLUMNS).equals(other.select(COLUMNS))
    assert [group.num_rows for group in tables["arrow"]] == [4, 3] * 3
    assert [group["track_id"][0].as_py()[2:3] for group in tables["arrow"]] == ["b", "b", "a", "a", "b", "b"]


@pytest.mark.parametrize("reader", READERS)
def test_no_files_have_no_row_groups(reader: str) -> None:
    assert list(Reading(reader).row_groups([], COLUMNS)) == []
