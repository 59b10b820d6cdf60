"""A lock that prevents two ingests at once on a warehouse, local or remote.

Each ingest writes its own lock file and then looks for another one whose time is still renewed. If there is one, the
ingest is refused; two that start at the same instant may both be refused, but never both run.
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

RENEWAL_INTERVAL = 15.0
"""Seconds."""

DEAD_AFTER = 90.0
"""Seconds without renewal."""

PREFIX = "lock-"


@contextmanager
def exclusive(warehouse: Warehouse) -> Iterator[None]:
    """Hold the ingest lock of a warehouse; raise a `UserError` if another process holds it."""
    name = f"{PREFIX}{uuid.uuid4().hex}.json"
    _renew(warehouse, name)
    stop = threading.Event()
    try:
        others = _alive(warehouse, name)
        if others:
            raise UserError(
                f"another ingest is running on {warehouse.root} ({others[0]}); wait until it ends, or stop it"
            )

        def keep_alive() -> None:
            while not stop.wait(RENEWAL_INTERVAL):
                with suppress(OSError):  # a store that does not respond; there is time for another attempt
                    _renew(warehouse, name)

        renewer = threading.Thread(target=keep_alive, name="ingest lock", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            stop.set()
            renewer.join()
    finally:
        warehouse.remove(WORK, name)
        warehouse.remove_if_empty(WORK)


def _renew(warehouse: Warehouse, name: str) -> None:
    warehouse.write_json({"host": socket.gethostname(), "process": os.getpid(), "time": time.time()}, WORK, name)


def _alive(warehouse: Warehouse, own_name: str) -> list[str]:
    """Return where other ingests run; remove the lock files of dead ones."""
    others = []
    for info in warehouse.list_files(warehouse.path(WORK)):
        if not info.base_name.startswith(PREFIX) or info.base_name == own_name:
            continue
        try:
            holder = warehouse.read_json(WORK, info.base_name)
        except (FileNotFoundError, json.JSONDecodeError):  # it ended meanwhile
            continue
        if time.time() - holder["time"] > DEAD_AFTER or _is_dead(holder["host"], holder["process"]):
            warehouse.filesystem.delete_file(info.path)
        else:
            others.append(f"process {holder['process']} on {holder['host']}")
    return others


def _is_dead(host: str, process: int) -> bool:
    """Return whether a process is known to have ended; that is known only on this machine."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
