"""Row groups of a local file and of one in a bucket, and the requests that they take."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from msd_spark.core import row_groups
from msd_spark.core.row_groups import RowGroups, byte_ranges

ROWS, GROUPS = 20_000, 4


def content(rows: int = ROWS) -> tuple[pa.Table, bytes]:
    numbers = np.random.default_rng(3)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(numbers.random(rows * 40)), 40).cast(pa.list_(pa.float64()))
    table = pa.table({"id": pa.array([f"T{n:06d}" for n in range(rows)]), "wide": lists, "n": pa.array(range(rows))})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=-(-rows // GROUPS), use_dictionary=["id"])
    return table, sink.getvalue()


@pytest.mark.parametrize("columns", [None, ["id", "n"], ["wide"]])
@pytest.mark.parametrize("numbers", [None, [1], [0, 3]])
def test_a_local_file(tmp_path: Path, columns: list[str] | None, numbers: list[int] | None) -> None:
    table, data = content(100)
    (tmp_path / "a").write_bytes(data)
    file = RowGroups(fs.LocalFileSystem(), str(tmp_path / "a"))
    assert file.rows == (25, 25, 25, 25)
    check(file, table, columns, numbers)


def check(file: RowGroups, table: pa.Table, columns: list[str] | None, numbers: list[int] | None) -> None:
    chosen = list(range(GROUPS)) if numbers is None else numbers
    rows = file.fetch(columns, numbers).read_row_groups(chosen, columns)
    size = table.num_rows // GROUPS
    expected = pa.concat_tables([table.slice(number * size, size) for number in chosen])
    assert rows.equals(expected if columns is None else expected.select(columns))


@given(st.integers(0, 400), st.integers(1, 500))
def test_ranges_have_the_bytes_of_the_columns_and_no_large_gap(gap: int, piece: int) -> None:
    table, data = content(40)
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_groups, "GAP", gap)
        patch.setattr(row_groups, "PIECE", piece)
        ranges = byte_ranges(metadata, ["id", "n"], range(GROUPS))
    assert all(0 < stop - start <= piece for start, stop in ranges)
    assert all(after[0] >= before[1] for before, after in pairwise(ranges))
    fetched_bytes = {at for start, stop in ranges for at in range(start, stop)}
    end = metadata_start(metadata)
    masked = bytes(byte if at in fetched_bytes or at >= end else 0 for at, byte in enumerate(data))
    assert pq.ParquetFile(io.BytesIO(masked), metadata=metadata).read(["id", "n"]).equals(table.select(["id", "n"]))


def metadata_start(metadata: pq.FileMetaData) -> int:
    chunks = [metadata.row_group(group).column(column) for group in range(GROUPS) for column in range(3)]
    return max(row_groups._place(chunk)[1] for chunk in chunks)
