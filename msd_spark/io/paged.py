"""Random access to a remote file, without a request for every few bytes."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pyarrow as pa
from pyarrow import fs

from msd_spark.core.seekable import Seekable

PAGE = 1 << 20
"""Bytes per request."""

MOST_PAGES = 32
"""Pages held in memory."""


def open_seekable(filesystem: fs.FileSystem, path: str) -> AbstractContextManager[str | PagedFile]:
    """Return an argument for h5py: the path of a local file, or a file object for a remote one."""
    if isinstance(filesystem, fs.LocalFileSystem):
        return nullcontext(path)
    return PagedFile(filesystem.open_input_file(path))


class PagedFile(Seekable):
    """A remote file fetched in pages: HDF5 reads thousands of small pieces, mostly adjacent.

    `failure` is the last error of the object store, which HDF5 would report as a damaged file.
    """

    def __init__(self, file: pa.NativeFile) -> None:
        super().__init__(file.size())
        self._file = file
        self._pages: OrderedDict[int, memoryview] = OrderedDict()
        self.failure: OSError | None = None

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer up to the end of the file; return the number of bytes."""
        view = memoryview(buffer).cast("B")
        n_bytes = max(0, min(len(view), self._size - self._at))
        done = 0
        while done < n_bytes:
            page, skipped = divmod(self._at, PAGE)
            piece = self._page(page)[skipped : skipped + n_bytes - done]
            if not len(piece):
                raise OSError(f"the file ends at {self._at}; it had {self._size} bytes")
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def close(self) -> None:
        """Close the file and drop the pages."""
        if not self.closed:
            self._file.close()
            self._pages.clear()
        super().close()

    def _page(self, number: int) -> memoryview:
        if number in self._pages:
            self._pages.move_to_end(number)
        else:
            try:
                self._pages[number] = memoryview(self._file.read_at(PAGE, number * PAGE))
            except OSError as error:
                # A copy, because the traceback of the error itself would keep HDF5's objects open until Python exits.
                self.failure = type(error)(*error.args)
                raise
            if len(self._pages) > MOST_PAGES:
                self._pages.popitem(last=False)
        return self._pages[number]
