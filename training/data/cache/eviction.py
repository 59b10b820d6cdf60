"""Choose which cached files to remove.

The modification time of a file is when it was last used, or, in the future, when its next use is planned. So ranks that
share a folder know of each other's plans. Within an epoch, the file whose use is farthest away is removed first, which
is optimal [1]_; the order of the next epoch is not known, so files that have been read are removed before these.

References
----------
.. [1] L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal, 1966.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

HORIZON = 24 * 3600
"""Seconds between now and the first planned use: files still to be read must not look used in a slow epoch."""


class Entry(NamedTuple):
    """A cached file; `time` is in seconds since 1970."""

    name: str
    size: int
    time: float


def planned_time(now: float, number: int) -> float:
    """Return the time of the file that is read after `number` others."""
    return now + HORIZON + number


def eviction_order(entries: Iterable[Entry], now: float) -> list[Entry]:
    """Return the files in the order in which to remove them.

    Examples
    --------
    >>> times = {"used now": 99, "used before": 50, "next": 101, "last": 300}
    >>> [entry.name for entry in eviction_order((Entry(name, 1, at) for name, at in times.items()), 100)]
    ['used before', 'used now', 'last', 'next']
    """
    return sorted(entries, key=lambda entry: (entry.time > now, -entry.time if entry.time > now else entry.time))
