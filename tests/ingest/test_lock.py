from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest import lock
from msd_spark.ingest.lock import DEAD_AFTER, PREFIX, exclusive
from msd_spark.ingest.settings import WORK


def leave_lock(warehouse: Warehouse, host: str, process: int, age: float = 0.0) -> None:
    content = {"host": host, "process": process, "time": time.time() - age}
    warehouse.write_json(content, WORK, f"{PREFIX}other.json")


def locks(warehouse: Warehouse) -> list[str]:
    return [info.base_name for info in warehouse.list_files(warehouse.path(WORK))]


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_ingest_is_refused_while_the_first_is_running(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    with exclusive(warehouse):
        with (
            pytest.raises(UserError) as refused,
            exclusive(Warehouse(str(tmp_path))),
        ):
            pytest.fail("two ingests at once")
        assert str(refused.value) == (
            f"another ingest is running on {tmp_path} (process {os.getpid()} on {socket.gethostname()}); "
            "wait until it ends, or stop it"
        )
        assert len(locks(warehouse)) == 1  # the first one's
    with exclusive(warehouse):
        pass


def test_a_released_lock_leaves_no_files(tmp_path: Path) -> None:
    with exclusive(Warehouse(str(tmp_path))):
        assert (tmp_path / WORK).is_dir()
    assert not (tmp_path / WORK).exists()


def test_an_error_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive(Warehouse(str(tmp_path))):
        raise KeyError
    assert not (tmp_path / WORK).exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "ingest lock"]


def test_the_lock_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    leave_lock(warehouse, socket.gethostname(), ended_process())
    with exclusive(warehouse):
        assert f"{PREFIX}other.json" not in locks(warehouse)


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_lock_that_was_not_renewed_is_removed(tmp_path: Path, host: str) -> None:
    warehouse = Warehouse(str(tmp_path))
    leave_lock(warehouse, host, os.getpid(), DEAD_AFTER + 1)
    with exclusive(warehouse):
        assert f"{PREFIX}other.json" not in locks(warehouse)


def test_a_fresh_lock_of_another_machine_is_respected(tmp_path: Path) -> None:
    warehouse = Warehouse(str(tmp_path))
    leave_lock(warehouse, "elsewhere", ended_process(), DEAD_AFTER / 2)
    with pytest.raises(UserError, match=r"process [0-9]+ on elsewhere"), exclusive(warehouse):
        pytest.fail("two ingests at once")
    assert locks(warehouse) == [f"{PREFIX}other.json"]


def test_a_failed_renewal_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One failure of a store must not make a running ingest look dead."""
    monkeypatch.setattr(lock, "RENEWAL_INTERVAL", 0.01)
    warehouse = Warehouse(str(tmp_path))
    written, renewed = [0], threading.Event()
    write_json = warehouse.write_json

    def failing_once(content: Any, *names: str) -> None:
        written[0] += 1
        if written[0] == 2:
            raise OSError("no response")
        write_json(content, *names)
        if written[0] > 2:
            renewed.set()

    monkeypatch.setattr(warehouse, "write_json", failing_once)
    with exclusive(warehouse):
        assert renewed.wait(30)
