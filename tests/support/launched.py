"""A training on real ranks that a test can kill, and its checkpoints."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tests.conftest import REPOSITORY
from tests.support.running import Running, nothing_left
from training.loop.state import TrainingState, from_bytes

SCRIPT = "training/train.py"

LAUNCHER = (sys.executable, "-m", "training.ranks.launch")
"""``horovodrun`` without its checks, which take ten seconds of processor time."""


def environment(**others: str) -> dict[str, str]:
    """Return the environment of a training, with the virtual environment active."""
    binaries = str(Path(sys.executable).parent)
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY), **others}


class Launched(Running):
    """A running training.

    Parameters
    ----------
    words : sequence of str
        The command.
    log : Path
        File for its output.
    others : mapping, optional
        Further environment variables.
    """

    def __init__(self, *words: str | Path, log: Path, others: Mapping[str, str] | None = None) -> None:
        super().__init__(*words, log=log, folder=REPOSITORY, environment=environment(**(others or {})))

    def ranks(self, script: str = SCRIPT) -> dict[int, psutil.Process]:
        """Return the process of each rank; for a fork, its client: killing it ends the fork."""
        processes = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error, StopIteration):
                if next(word for word in process.cmdline()[:5] if word.endswith(script)):
                    rank = process.environ().get("HOROVOD_RANK")
                    if rank is not None and process.name().startswith("python"):
                        processes[int(rank)] = process
        return processes


def launched(
    *words: str | Path, log: Path, others: Mapping[str, str] | None = None
) -> AbstractContextManager[Launched]:
    """Start a training; end it and all its processes with the block."""
    return nothing_left(Launched(*words, log=log, others=others))


def checkpoint(path: Path) -> TrainingState | None:
    """Read a checkpoint, if there is one."""
    return from_bytes(path.read_bytes())[0] if path.exists() else None


def without_times(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a history without what depends on the time of a run."""
    times = ("examples_per_second", "waiting")
    return [{name: value for name, value in row.items() if name not in times} for row in history]


def assert_same_state(first: TrainingState, second: TrainingState) -> None:
    """Check that two states are equal bit by bit: weights, optimizer, random states, history, best epoch."""
    assert (first.epoch, first.step) == (second.epoch, second.step)
    assert without_times(first.history) == without_times(second.history)
    assert (first.best.epoch, first.best.cost) == (second.best.epoch, second.best.cost)
    pairs = [(first, second, name) for name in ("weights", "optimizer", "draws")]
    for one, other, name in [*pairs, (first.best, second.best, "weights")]:
        arrays, others = getattr(one, name), getattr(other, name)
        assert len(arrays) == len(others) > 0
        assert all(np.array_equal(array, expected) for array, expected in zip(arrays, others, strict=True)), name
