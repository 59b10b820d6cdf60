"""Training as people start it, on real ranks, that a test can kill; and what it wrote, read without TensorFlow."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tests.conftest import REPOSITORY
from training.state import TrainingState, from_bytes

LONGEST = 400.0
"""Seconds that a training may take before it counts as hanging; the machine may have much else to do."""

SCRIPT = "training/train.py"


def environment(**others: str) -> dict[str, str]:
    """Return the environment of a training: the virtual environment is active."""
    binaries = str(Path(sys.executable).parent)
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), **others}


class Launched:
    """A training that was started.

    Parameters
    ----------
    words : sequence of str
        The whole command.
    log : Path
        Where everything goes that it says.
    """

    def __init__(self, *words: str | Path, log: Path, others: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                list(map(str, words)),
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=environment(**(others or {})),
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            launcher = psutil.Process(self.process.pid)
            return [launcher, *launcher.children(recursive=True)]
        return []

    def ranks(self) -> dict[int, psutil.Process]:
        """Return the training processes by rank."""
        found = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error, StopIteration):
                if next(word for word in process.cmdline()[:3] if word.endswith(SCRIPT)):
                    rank = process.environ().get("HOROVOD_RANK")
                    if rank is not None and process.name().startswith("python"):
                        found[int(rank)] = process
        return found

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Return what a condition gives once it is true, while the training runs."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            assert self.process.poll() is None, f"it ended before:\n{self.said()[-3000:]}"
            time.sleep(0.02)
        raise AssertionError(f"waited in vain:\n{self.said()[-3000:]}")

    def status(self, seconds: float = LONGEST) -> int:
        return self.process.wait(seconds)

    def succeed(self) -> None:
        assert self.status() == 0, self.said()[-3000:]


@contextmanager
def launched(*words: str | Path, log: Path, others: Mapping[str, str] | None = None) -> Iterator[Launched]:
    """Start a training; nothing of it is left behind."""
    started = Launched(*words, log=log, others=others)
    try:
        yield started
    finally:
        left = started.processes()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        started.process.wait()
        psutil.wait_procs(left, timeout=LONGEST)


def checkpoint(path: Path) -> TrainingState | None:
    """Read a checkpoint, if there is one."""
    return from_bytes(path.read_bytes())[0] if path.exists() else None


def assert_same_state(first: TrainingState, second: TrainingState) -> None:
    """Two trainings stand at the same place, to the bit: weights, optimizer, random numbers, figures, best epoch."""
    assert (first.epoch, first.step, first.history) == (second.epoch, second.step, second.history)
    assert (first.best.epoch, first.best.figure) == (second.best.epoch, second.best.figure)
    pairs = [(first, second, name) for name in ("weights", "optimizer", "draws")]
    for one, other, name in [*pairs, (first.best, second.best, "weights")]:
        arrays, others = getattr(one, name), getattr(other, name)
        assert len(arrays) == len(others) > 0
        assert all(np.array_equal(array, expected) for array, expected in zip(arrays, others, strict=True)), name
