"""Commands as people start them, each in a process group of its own, that a test can watch and kill."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil


class Running:
    """A command that was started.

    Parameters
    ----------
    words : sequence of str
        The whole command.
    log : Path
        Where everything goes that it says.
    folder : Path
        Where it runs.
    environment : mapping
        All of its environment.
    """

    longest = 1800.0
    """Seconds that it may take before it counts as hanging; the machine may have much else to do."""

    def __init__(self, *words: str | Path, log: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                list(map(str, words)),
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Return the command's process and all that it started: launchers, ranks, JVMs, Python workers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def kill(self) -> None:
        """Kill everything of it at once, as a power cut does."""
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(processes, timeout=self.longest)

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Return what a condition gives once it is true, while the command runs."""
        deadline = time.monotonic() + self.longest
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            assert self.process.poll() is None, f"it ended before:\n{self.said()[-3000:]}"
            time.sleep(0.01)
        raise AssertionError(f"waited in vain:\n{self.said()[-3000:]}")

    def status(self, seconds: float | None = None) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(seconds or self.longest)

    def succeed(self) -> None:
        assert self.status() == 0, self.said()[-3000:]


Command = TypeVar("Command", bound=Running)


@contextmanager
def nothing_left(running: Command) -> Iterator[Command]:
    """Have nothing of a command be left behind, whatever the test comes to."""
    try:
        yield running
    finally:
        running.kill()
