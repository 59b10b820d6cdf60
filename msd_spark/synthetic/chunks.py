"""Chunks of a dataset as they stand in the file: bytes shuffled, then deflated, and rows appended by them."""

from __future__ import annotations

import h5py
import numpy as np
from isal import isal_zlib

from msd_spark.core.song_layout import Array, Table
from msd_spark.synthetic.draws import AnyArray
from msd_spark.synthetic.template import DEFLATE


def compressed_chunks(values: AnyArray, rows: int) -> list[bytes]:
    """Cut an array into chunks, shuffle their bytes and deflate them.

    ISA-L deflates several times as fast as the library behind HDF5, to streams that any inflates.

    Parameters
    ----------
    values : numpy.ndarray, (n, ...)
        Of the file's own type.
    rows : int
        Rows a chunk; the last one is filled up with zeros.

    Returns
    -------
    list of bytes
        The chunks, first row first.
    """
    count = -(-len(values) // rows)
    whole = np.zeros((count * rows, *values.shape[1:]), values.dtype)
    whole[: len(values)] = values
    # HDF5 shuffles by element; a row of a two-dimensional array is several.
    octets = whole.view(np.uint8).reshape(count, -1, values.dtype.itemsize)
    shuffled = np.ascontiguousarray(octets.transpose(0, 2, 1))
    return [isal_zlib.compress(chunk, DEFLATE) for chunk in shuffled]


class Appender:
    """Appends rows to one dataset of an open file, a whole chunk at a time.

    Memory holds less than a chunk and what is being appended.

    Parameters
    ----------
    file : h5py.File
        Open for writing, with the layout and no rows.
    item : Table or Array
        Which dataset.
    """

    def __init__(self, file: h5py.File, item: Table | Array) -> None:
        self.count = 0
        """Rows appended so far."""
        self._dataset = file[item.path].id
        self._chunk = item.chunk
        self._written = 0
        self._waiting: list[AnyArray] = []

    def append(self, rows: AnyArray) -> None:
        """Append rows of the dataset's type."""
        self._waiting.append(rows)
        self.count += len(rows)
        if self.count - self._written >= self._chunk:
            waiting = np.concatenate(self._waiting)
            whole = len(waiting) // self._chunk * self._chunk
            self._write(waiting[:whole])
            self._waiting = [waiting[whole:]]

    def finish(self) -> None:
        """Write the rows that fill no whole chunk; nothing can be appended afterwards."""
        if self.count > self._written:
            self._write(np.concatenate(self._waiting))

    def _write(self, rows: AnyArray) -> None:
        self._dataset.set_extent((self._written + len(rows), *rows.shape[1:]))
        rest = (0,) * (rows.ndim - 1)
        for number, chunk in enumerate(compressed_chunks(rows, self._chunk)):
            self._dataset.write_direct_chunk((self._written + number * self._chunk, *rest), chunk)
        self._written += len(rows)
