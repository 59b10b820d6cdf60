from __future__ import annotations

from pathlib import Path

import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.runs import DATASET_FILE, newest_run, only_dataset, read_run
from msd_spark.core.schemas import EXAMPLES
from msd_spark.core.warehouse import Warehouse


def write_dataset(warehouse: Warehouse, name: str, metadata: dict[str, object]) -> None:
    with warehouse.overwriting(EXAMPLES, "dataset", name) as writer:
        writer.write_json(metadata, DATASET_FILE)


def test_an_unknown_run_is_refused_with_a_list_of_finished_runs(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    with pytest.raises(UserError, match="no finished run models/a; finished: none; run msd-spark train first"):
        read_run(warehouse, "a")
    with pytest.raises(UserError, match=r"no finished run in .*models; run msd-spark train first"):
        newest_run(warehouse)
    warehouse.write_json({}, "models", "b", "metadata.json")
    warehouse.write_json({}, "models", "unfinished", "metrics.json")
    with pytest.raises(UserError, match=r"no finished run models/a; finished: b$"):
        read_run(warehouse, "a")
    assert newest_run(warehouse) == "b"


def test_incomplete_metadata_are_refused(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_json({"target": {}, "dataset": {}, "geometry": {}}, "models", "old", "metadata.json")
    with pytest.raises(UserError, match="lacks folder, normalisation, lyric_vectors; another version wrote it"):
        read_run(warehouse, "old")


def test_a_dataset_is_the_default_if_it_is_the_only_one_apart_from_those_of_a_protocol(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    with pytest.raises(UserError, match=r"no dataset in .*; run msd-spark dataset first"):
        only_dataset(warehouse)
    write_dataset(warehouse, "genre", {})
    write_dataset(warehouse, "genre-2019", {"protocol": {}})
    (tmp_path / "dataset" / "unfinished").mkdir()
    assert only_dataset(warehouse) == "genre"
    write_dataset(warehouse, "other", {})
    with pytest.raises(UserError, match=r"several datasets in .*: genre, other; choose one by --dataset"):
        only_dataset(warehouse)
