"""Dataset chunks as stored in the file: bytes shuffled, then deflated."""

from __future__ import annotations

import h5py
import numpy as np
from isal import isal_zlib

from msd_spark.core.song_layout import Array, Table
from msd_spark.synthetic.draws import AnyArray
from msd_spark.synthetic.template import DEFLATE


def compressed_chunks(values: AnyArray, rows: int) -> list[bytes]:
    """Split an array into chunks, shuffle their bytes and deflate them.

    Chunks have `rows` rows; the last one is padded with zeros. ISA-L deflates several times as fast as the library
    behind HDF5, into ordinary zlib streams.
    """
    count = -(-len(values) // rows)
    padded = np.zeros((count * rows, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    # HDF5 shuffles by element; a row of a two-dimensional array has several.
    octets = padded.view(np.uint8).reshape(count, -1, values.dtype.itemsize)
    shuffled = np.ascontiguousarray(octets.transpose(0, 2, 1))
    return [isal_zlib.compress(chunk, DEFLATE) for chunk in shuffled]


class Appender:
    """Append rows to one dataset of an open file, which has none yet, one chunk at a time.

    Memory holds less than one chunk besides the rows that are appended.

    Attributes
    ----------
    count : int
        Rows appended so far.
    """

    def __init__(self, file: h5py.File, item: Table | Array) -> None:
        self.count = 0
        self._dataset = file[item.path].id
        self._chunk = item.chunk
        self._written = 0
        self._pending: list[AnyArray] = []

    def append(self, rows: AnyArray) -> None:
        """Append rows of the dataset's type."""
        self._pending.append(rows)
        self.count += len(rows)
        if self.count - self._written >= self._chunk:
            pending = np.concatenate(self._pending)
            complete = len(pending) // self._chunk * self._chunk
            self._write(pending[:complete])
            self._pending = [pending[complete:]]

    def finish(self) -> None:
        """Write the last, incomplete chunk; nothing can be appended afterwards."""
        if self.count > self._written:
            self._write(np.concatenate(self._pending))

    def _write(self, rows: AnyArray) -> None:
        self._dataset.set_extent((self._written + len(rows), *rows.shape[1:]))
        rest = (0,) * (rows.ndim - 1)
        for number, chunk in enumerate(compressed_chunks(rows, self._chunk)):
            self._dataset.write_direct_chunk((self._written + number * self._chunk, *rest), chunk)
        self._written += len(rows)
