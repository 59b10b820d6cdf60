"""One ingest at a time on a warehouse, wherever the warehouse is.

Each ingest writes a file of its own name and then looks whether there is another one that
is alive. Whoever sees another gives way, so two that start at the same instant may both do
so, but never both go on. A file is alive while its time is renewed.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.settings import WORK

RENEWED_EVERY = 15.0
"""Seconds."""

DEAD_AFTER = 90.0
"""Seconds without a sign of life."""

PREFIX = "lock-"


@contextmanager
def exclusive(warehouse: Warehouse) -> Iterator[None]:
    """Hold the warehouse's ingest lock.

    Raises
    ------
    UserError
        When another ingest holds it, with where it runs.
    """
    name = f"{PREFIX}{uuid.uuid4().hex}.json"
    _renew(warehouse, name)
    stop = threading.Event()
    try:
        others = _alive(warehouse, name)
        if others:
            raise UserError(f"another ingest is at work on {warehouse.root} ({others[0]}); wait for it, or stop it")

        def keep_alive() -> None:
            while not stop.wait(RENEWED_EVERY):
                with suppress(OSError):  # a store that does not answer; there is time to try again
                    _renew(warehouse, name)

        renewer = threading.Thread(target=keep_alive, name="ingest lock", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            stop.set()
            renewer.join()
    finally:
        if warehouse.exists(WORK, name):
            warehouse.filesystem.delete_file(warehouse.path(WORK, name))
        warehouse.remove_if_empty(WORK)


def _renew(warehouse: Warehouse, name: str) -> None:
    warehouse.write_json({"host": socket.gethostname(), "process": os.getpid(), "time": time.time()}, WORK, name)


def _alive(warehouse: Warehouse, mine: str) -> list[str]:
    """Return where other ingests run; what is left of dead ones is removed."""
    found = []
    for info in warehouse.list_files(warehouse.path(WORK)):
        if not info.base_name.startswith(PREFIX) or info.base_name == mine:
            continue
        try:
            holder = warehouse.read_json(WORK, info.base_name)
        except (FileNotFoundError, json.JSONDecodeError):  # it ended meanwhile
            continue
        if time.time() - holder["time"] > DEAD_AFTER or _is_dead(holder["host"], holder["process"]):
            warehouse.filesystem.delete_file(info.path)
        else:
            found.append(f"process {holder['process']} on {holder['host']}")
    return found


def _is_dead(host: str, process: int) -> bool:
    """Whether a process is known to have ended: only this machine's are known."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
