"""Fetch the files of a plan ahead of their reader, several at once."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from msd_spark.core.filesystems import copied_pieces, open_location
from msd_spark.core.object_store import s3_endpoint
from training.data.cache.folder import CacheFolder, Copy

FETCHES = 8
"""Files fetched at once: about 0.5 GB/s in files of 5 MB, at 20 ms per request and 90 MB/s per connection."""

AHEAD, AHEAD_BYTES = 16, 256 << 20
"""Maximum number of files, and of their bytes, that are fetched ahead over all streams of a rank."""


def depth(size: int, bound: int, streams: int) -> int:
    """Return how many files of a size to fetch ahead in each of some streams that are read in turn.

    They take at most half of a folder with room for `bound` bytes, unless that is less than two files.

    Examples
    --------
    >>> depth(5, 1 << 30, 1), depth(5, 1 << 30, 4), depth(50 << 20, 1 << 30, 1), depth(5, 30, 1), depth(5, 5, 1)
    (16, 4, 5, 3, 2)
    """
    return max(2, min(AHEAD, min(AHEAD_BYTES, bound // 2) // max(size, 1)) // streams)


class Cached(NamedTuple):
    """Addresses of a copy and of its source; without a copy, both are the source."""

    copy: str
    source: str


@dataclass
class Cache:
    """The cached files of a dataset.

    Attributes
    ----------
    sizes : mapping
        The bytes of each file by address.
    version : str
        Fingerprint of the files' content.
    """

    folder: CacheFolder
    sizes: Mapping[str, int] = field(repr=False)
    version: str
    _streams: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Make the threads that fetch."""
        self._pool = ThreadPoolExecutor(FETCHES, "fetch")

    def name(self, address: str) -> str:
        """Return the name of a file's copy, which no file of another store, dataset or version has."""
        store = s3_endpoint(address.split("/")[2])[0] if address.startswith("s3://") else None
        return hashlib.sha1(repr((store, address, self.sizes[address], self.version)).encode()).hexdigest()

    def ahead(self, addresses: Sequence[str]) -> Generator[list[Cached], None, None]:
        """Yield the files in order, in lists of those whose copies are ready together.

        A file without a copy is listed alone. A copy may be removed when the next list is requested.
        """
        names = {address: self.name(address) for address in addresses if address in self.sizes}
        size = max((self.sizes[address] for address in names), default=0)
        self.folder.plan(names[address] for address in addresses if address in names)
        coming, pending = iter(addresses), deque[tuple[str, Future[Copy | None]]]()
        in_use: list[Copy] = []
        together = 1  # the first file is read as soon as it is here
        self._streams += 1
        try:
            while True:
                n_ahead = depth(size, self.folder.bound, self._streams)
                for address in islice(coming, max(0, n_ahead - len(pending))):
                    pending.append((address, self._begin(address, names.get(address))))
                if not pending:
                    return
                files: list[Cached] = []
                while pending and len(files) < together:
                    address, future = pending[0]
                    copy = future.result()
                    if copy is None and files:
                        break
                    pending.popleft()
                    # There may be room now that earlier files have been read.
                    if copy := copy or self._fetch(address, names.get(address)):
                        in_use.append(copy)
                        files.append(Cached(f"file://{copy.path}", address))
                        continue
                    if self.folder.full and address in names:
                        self.folder.warn(f"no room for a file of {self.sizes[address]:,} bytes besides those in use")
                    files.append(Cached(address, address))
                    break
                yield files
                while in_use:
                    in_use.pop().release()
                together = max(1, n_ahead // 4)  # opening a reader takes time
        finally:
            self._streams -= 1
            in_use += [copy for _, future in pending if not future.cancel() and (copy := future.result())]
            for copy in in_use:
                copy.release()

    def _begin(self, address: str, name: str | None) -> Future[Copy | None]:
        """Return an existing copy at once; otherwise fetch the file in a thread."""
        if name is None or not (copy := self.folder.find(name, self.sizes[address])):
            return self._pool.submit(self._fetch, address, name)
        ready: Future[Copy | None] = Future()
        ready.set_result(copy)
        return ready

    def _fetch(self, address: str, name: str | None) -> Copy | None:
        if name is None:
            return None
        filesystem, path, _ = open_location(address)
        return self.folder.fetch(name, self.sizes[address], partial(copied_pieces, filesystem, path))
