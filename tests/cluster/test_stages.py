"""All stages on the cluster."""

from __future__ import annotations

import pandas as pd

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.warehouse import Warehouse
from tests.cluster.stages import Stages, rows, tables


def test_the_tables_equal_those_of_a_local_run(
    local: Warehouse, finished: Warehouse, data: DataFolder, stages: Stages
) -> None:
    assert tables(finished) == tables(local)
    differences = []
    for table in sorted(tables(local)):
        expected = rows(local, *table, data=data.folder)
        try:
            pd.testing.assert_frame_equal(rows(finished, *table, data=stages.bucket), expected, check_exact=True)
        except AssertionError as error:
            differences.append(f"{'/'.join(table)}: {error}")
    assert not differences, "\n".join(differences)
