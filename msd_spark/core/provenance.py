"""What writes a table: the command that is running, and the revision of its code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from msd_spark.core.revision import code_revision


@dataclass(frozen=True)
class Command:
    """A verb and its words, and the older versions that the tables it writes keep."""

    job: str = ""
    arguments: tuple[str, ...] = ()
    keep_versions: int = 0


_running = [Command()]
"""The running command is the last one; all threads of the process share it."""


@contextmanager
def running(job: str, arguments: Sequence[str], keep_versions: int = 0) -> Iterator[None]:
    """Name the command that writes tables within the block."""
    _running.append(Command(job, tuple(arguments), keep_versions))
    try:
        yield
    finally:
        _running.pop()


def current_command() -> dict[str, Any]:
    """Return the running command for the history of a table: job, arguments and revision."""
    command = _running[-1]
    return {"job": command.job, "arguments": list(command.arguments), "revision": code_revision()}


def versions_to_keep() -> int:
    """Return how many older versions of its tables the running command keeps."""
    return _running[-1].keep_versions
