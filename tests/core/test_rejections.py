from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from msd_spark.core.rejections import Rejection, write_rejections
from msd_spark.core.warehouse import Warehouse


def rows(warehouse: Warehouse) -> list[tuple[str, str, str | None, str]]:
    table = pq.read_table(warehouse.path("rejected")).to_pylist()
    return sorted(((row["stage"], row["source"], row["member"], row["reason"]) for row in table), key=str)


def test_each_stage_replaces_its_own_rejections_alone(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_rejections(warehouse, "labels", [Rejection("l.cls", "no_genre", "x", "line 3")])
    write_rejections(
        warehouse, "ingest", [Rejection("a.h5", "empty_file", "0 bytes"), Rejection("b.h5", "not_hdf5", "")]
    )
    write_rejections(warehouse, "ingest", (item for item in [Rejection("c.h5", "not_hdf5", "")]))
    assert rows(warehouse) == [("ingest", "c.h5", None, "not_hdf5"), ("labels", "l.cls", "line 3", "no_genre")]


def test_a_stage_that_rejected_nothing_says_so(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    write_rejections(warehouse, "ingest", [Rejection("a.h5", "empty_file", "")])
    write_rejections(warehouse, "ingest", [])
    assert warehouse.is_complete("rejected", "stage=ingest")
    assert rows(warehouse) == []
