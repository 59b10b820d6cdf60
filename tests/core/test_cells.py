"""Cells have the bytes of numpy.save, and are read back without numpy.load."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, boolean_dtypes, floating_dtypes, integer_dtypes

from msd_spark.core.cells import from_cells, to_cells

DTYPES = st.one_of(boolean_dtypes(), integer_dtypes(), floating_dtypes())
ROWS = st.builds(lambda n, shape: (n, *shape), st.integers(1, 4), st.just(()) | array_shapes(min_side=0, max_side=4))


def saved(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


@given(DTYPES.flatmap(lambda dtype: arrays(dtype, ROWS)))
def test_cells_are_what_numpy_saves_and_loads(rows: np.ndarray) -> None:
    cells = to_cells(rows)
    for stored in (rows, from_cells(cells)):
        assert cells.to_pylist() == [saved(stored[number, ...]) for number in range(len(rows))]
    for part in (cells[1:], pa.chunked_array([cells[:1], cells[1:], cells[:0]])):
        again = from_cells(part)
        assert again.tobytes() == rows[len(rows) - len(again) :].tobytes()


def test_cells_of_a_file_are_viewed_with_aligned_rows() -> None:
    rows = np.random.default_rng(0).random((5, 300, 12), np.float32)
    file = io.BytesIO()
    pq.write_table(pa.table({"chroma": to_cells(rows)}), file)
    column = pq.read_table(file)["chroma"]
    view = from_cells(column)
    np.testing.assert_array_equal(view, rows)
    assert np.shares_memory(view, np.frombuffer(column.chunk(0).buffers()[2], np.uint8))
    assert not view.flags.writeable
    assert all(row.flags.c_contiguous and row.ctypes.data % 64 == 0 for row in view)
    assert from_cells(column[:0]).shape == (0, 0)


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a cell was unpickled",)


FIRST = saved(np.zeros(3))


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([FIRST, None], "1 of 2 cells are null"),
        ([FIRST, saved(np.zeros(2))], "the cells have 144 to 152 bytes"),
        ([FIRST, saved(np.zeros((3, 1)))], r"different forms; the first is float64 \(3,\)"),
        ([FIRST, saved(np.zeros(3, np.int64))], "different forms"),
        ([FIRST[:-8]], r"float64 \(3,\) has 16 bytes after its header"),
        ([FIRST[:100]], "not an array of numbers saved by numpy"),
        ([b""], "not an array of numbers"),
        ([b"\x93NUMPY\x09\x00" + FIRST[8:]], "not an array of numbers .*version"),
        ([saved(np.zeros((2, 3)).T)], "by columns"),
        ([pickle.dumps(Dangerous())], "not an array of numbers"),
        ([saved(np.array([1, None]))], "not an array of numbers .*object"),
    ],
)
def test_cells_of_another_form_are_refused(cells: list[bytes | None], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_cells(pa.array(cells, pa.binary()))


def test_other_columns_and_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="different forms: float64"):
        from_cells(pa.chunked_array([pa.array([FIRST]), pa.array([saved(np.zeros(2))])]))
    with pytest.raises(ValueError, match=r"type list<.*>; expected binary"):
        from_cells(pa.array([[1.0]]))
    with pytest.raises(ValueError, match="an array of object cannot be stored"):
        to_cells(np.array([Dangerous()]))
    with pytest.raises(ValueError, match="exceed 2 GiB; write fewer rows per file"):
        to_cells(np.broadcast_to(np.float32(0), (200_000, 300, 12)))
