"""Columns of arrays in the form of Petastorm's `NdarrayCodec`: each cell has the bytes of `numpy.save`.

All cells of a column have one shape and type, so a header is checked once and the values are viewed, not loaded.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

LARGEST_COLUMN = 2**31 - 1
"""Maximum bytes of a binary column in Arrow, whose offsets are int32."""


def to_cells(rows: np.ndarray) -> pa.BinaryArray:
    """Return an array of shape ``(n, …)`` as `n` cells, one per row.

    Examples
    --------
    >>> cells = to_cells(np.arange(6, dtype=np.float32).reshape(2, 3))
    >>> np.load(io.BytesIO(cells[1].as_py()))
    array([3., 4., 5.], dtype=float32)
    >>> from_cells(cells)
    array([[0., 1., 2.],
           [3., 4., 5.]], dtype=float32)
    """
    if rows.dtype.hasobject:
        raise ValueError(f"an array of {rows.dtype} cannot be stored as cells; convert it to numbers")
    one = io.BytesIO()
    np.save(one, np.empty(rows.shape[1:], rows.dtype))
    header = one.getvalue()[: one.tell() - rows.dtype.itemsize * math.prod(rows.shape[1:])]
    cell = _cell(header)
    if len(rows) * cell.itemsize > LARGEST_COLUMN:
        raise ValueError(f"{len(rows):,} rows of {cell.itemsize:,} bytes exceed 2 GiB; write fewer rows per file")
    content = np.empty(len(rows), cell)
    content["header"] = np.frombuffer(header, np.uint8)
    content["row"] = rows
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(cell.itemsize)
    return pa.BinaryArray.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(content)])


def from_cells(column: pa.ChunkedArray | pa.BinaryArray) -> np.ndarray:
    """Return the arrays of a column as one array of shape ``(n, …)``; ``(0, 0)`` without rows.

    A column of one chunk is not copied: the result is a read-only view of Arrow's memory in which each row is
    contiguous. `ValueError` if the cells are not arrays of numbers of one shape and type. Nothing is unpickled.
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [_view(chunk) for chunk in chunks if len(chunk)]
    if not parts:
        return np.empty((0, 0), np.float32)
    forms = sorted({_text(part.dtype, part.shape[1:]) for part in parts})
    if len(forms) > 1:
        raise ValueError(f"the cells have different forms: {forms[0]} and {forms[1]}")
    return parts[0] if len(parts) == 1 else np.concatenate(parts, dtype=parts[0].dtype)


def _view(cells: pa.BinaryArray) -> np.ndarray:
    """Return the rows of at least one cell, without a copy."""
    if not pa.types.is_binary(cells.type):
        raise ValueError(f"cells have type {cells.type}; expected binary")
    if cells.null_count:
        raise ValueError(f"{cells.null_count:,} of {len(cells):,} cells are null")
    _, offsets, content = cells.buffers()
    borders = np.frombuffer(offsets, np.int32, len(cells) + 1, cells.offset * 4)
    sizes, start = np.diff(borders), int(borders[0])
    if (sizes != sizes[0]).any():
        raise ValueError(f"the cells have {sizes.min():,} to {sizes.max():,} bytes; expected arrays of one shape")
    first = content.slice(start, int(sizes[0])) if content is not None else pa.py_buffer(b"")
    length = int.from_bytes(first.slice(8, 2).to_pybytes(), "little") if first.size >= 10 else 0
    cell = _cell(first.slice(0, min(10 + length, first.size)).to_pybytes())
    row = cell["row"]
    if cell.itemsize != first.size:
        size = first.size - cell["header"].itemsize
        raise ValueError(f"a cell of {_text(row.base, row.shape)} has {size:,} bytes after its header")
    rows = np.frombuffer(content, cell, len(cells), start)
    rows.flags.writeable = False
    if (rows["header"] != rows["header"][0]).any():
        raise ValueError(f"the cells have different forms; the first is {_text(row.base, row.shape)}")
    return rows["row"]


@lru_cache
def _cell(header: bytes) -> np.dtype[Any]:
    """Return the type of a cell that begins with a header: its bytes, then the array."""
    source = io.BytesIO(header)
    try:
        version = np.lib.format.read_magic(source)  # type: ignore[no-untyped-call]
        if version != (1, 0):
            raise ValueError(f"version {version} is not supported")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(source)  # type: ignore[no-untyped-call]
        if dtype.hasobject or in_columns:
            raise ValueError(f"it has {_text(dtype, shape)} {'by columns' if in_columns else ''}")
        return np.dtype([("header", np.uint8, (len(header),)), ("row", dtype, shape)])
    except ValueError as error:
        raise ValueError(f"a cell is not an array of numbers saved by numpy, row by row: {error}") from None


def _text(dtype: np.dtype, shape: tuple[int, ...]) -> str:
    return f"{dtype.name} {shape}"
