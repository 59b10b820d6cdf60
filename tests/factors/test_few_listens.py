"""Listens that are too few to make factors of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.schemas import FACTORS, PLAYS
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.job import make_factors
from msd_spark.factors.listens import TooFewListensError
from msd_spark.factors.settings import FactorSettings


def test_of_too_few_listens_no_factors_are_made_where_that_is_allowed(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    columns = {"user_id": ["u", "u", "v"], "track_id": ["TRA", "TRB", "TRA"], "plays": [1, 2, 3]}
    warehouse.write_arrow(pa.Table.from_pydict(columns, PLAYS), "plays")
    older = pa.table({"kind": ["track"], "id": ["TRA"], "factors": [[1.0]]}, FACTORS)
    warehouse.write_arrow(older, "factors")
    settings = FactorSettings(warehouse.root)
    with pytest.raises(TooFewListensError, match="no user has 5 tracks that have 5 listeners; ask for less"):
        make_factors(cast(SparkSession, None), settings)
    assert warehouse.is_complete("factors")
    summary = make_factors(cast(SparkSession, None), replace(settings, allow_too_few=True))
    assert summary.facts["tracks with factors"] == 0
    assert "no user has 5 tracks" in summary.facts["too few listens"]
    assert not warehouse.exists("factors")
