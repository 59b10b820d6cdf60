"""Jobs as people start them, with spark-submit, in processes that a test can kill."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyspark

from tests.conftest import REPOSITORY

LONGEST = 150.0
"""Seconds that a job may take before it counts as hanging."""


class Submitted:
    """A job that was started.

    Parameters
    ----------
    arguments : sequence of str
        The job's script, under ``jobs/``, and its arguments.
    log : Path
        Where everything goes that the job says.
    """

    def __init__(
        self, *arguments: str, log: Path, master: str = "local[2]", environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        submit = Path(sys.executable).with_name("spark-submit")
        options = ["--master", master, "--driver-memory", "1g", "--conf", "spark.ui.enabled=false"]
        spark = {"SPARK_HOME": str(Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable}
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                [str(submit), *options, str(REPOSITORY / "jobs" / arguments[0]), *arguments[1:]],
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env={**os.environ, **spark, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Return the job's processes: the JVM, the driver, executors and Python workers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            job = psutil.Process(self.process.pid)
            return [job, *job.children(recursive=True)]
        return []

    def kill(self) -> None:
        """Kill everything of the job at once, as a power cut does."""
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(processes, timeout=LONGEST)

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Return what a condition gives once it is true, while the job runs."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            assert self.process.poll() is None, f"the job ended before:\n{self.said()[-3000:]}"
            time.sleep(0.01)
        raise AssertionError(f"waited in vain:\n{self.said()[-3000:]}")

    def status(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(LONGEST)

    def succeed(self) -> None:
        assert self.status() == 0, self.said()[-3000:]


@contextmanager
def submitted(*arguments: str, **options: Any) -> Iterator[Submitted]:
    """Start a job; nothing of it is left behind."""
    job = Submitted(*arguments, **options)
    try:
        yield job
    finally:
        job.kill()


def facts(uri: Path) -> dict[str, Any]:
    """Return what the last ingest said at its end."""
    content = json.loads((uri / "summaries" / "ingest.json").read_text())
    return dict(content["facts"])
