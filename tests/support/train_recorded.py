"""Run ``training/train.py`` with a record of each step's track ids, and kill a rank."""

from __future__ import annotations

import json
import os
import signal
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from msd_spark.core.command_line import run_verb
from training.data.assembly import Tally
from training.data.feed import Feed, TrainingBatch
from training.loop import trainer

RECORDS, KILLED = "MSD_SPARK_RECORDS", "MSD_SPARK_KILLED"
"""Environment variables: the folder of the records, and ``RANK:STEP`` to kill after; steps of the run count from 0."""


def records(folder: Path) -> dict[int, list[list[str]]]:
    """Return the track ids of all ranks in each step, by step; a repeated step has several lists, the last one last."""
    parts: dict[tuple[str, int], list[str]] = {}
    for path in sorted(folder.iterdir(), key=lambda path: int(path.name.partition("@")[0])):
        for line in path.read_text().splitlines():
            step, track_ids = json.loads(line)
            parts.setdefault((path.name.partition("-")[0], step), []).extend(track_ids)
    steps: dict[int, list[list[str]]] = {}
    for (_, step), track_ids in parts.items():
        steps.setdefault(step, []).append(sorted(track_ids))
    return dict(sorted(steps.items()))


def main() -> None:
    """Run ``msd-spark train``."""
    read: deque[np.ndarray] = deque()
    first_step = next_step = 0
    prepared, batches, compile_step = Feed.prepared, trainer.Trainer._batches, trainer.Trainer._compile_step

    def recorded(self: Feed, batch: Any, epoch: int) -> TrainingBatch:
        read.append(batch.track_ids)
        return prepared(self, batch, epoch)

    def numbered(self: trainer.Trainer, first: int, last: int, tally: Tally) -> Generator[TrainingBatch]:
        nonlocal first_step, next_step
        first_step = next_step = first
        read.clear()  # a step that failed left its batches
        yield from batches(self, first, last, tally)

    def compiled(self: trainer.Trainer) -> Callable[..., Any]:
        step, rank, killed = compile_step(self), self.ranks.rank, os.environ.get(KILLED, "")

        def done(*arguments: Any) -> Any:
            nonlocal next_step
            if killed == f"{rank}:{next_step - 1}":  # a checkpoint after that step has been written, if due
                os.kill(os.getpid(), signal.SIGKILL)
            result = step(*arguments)
            with Path(os.environ[RECORDS], f"{first_step}@{self.ranks.size}@{killed}-{rank}").open("a") as file:
                file.write(f"{json.dumps([next_step, list(filter(None, read.popleft().tolist()))])}\n")
            next_step += 1
            return result

        return done

    Feed.prepared, trainer.Trainer._batches = recorded, numbered  # type: ignore[method-assign]
    trainer.Trainer._compile_step = compiled  # type: ignore[method-assign]
    run_verb("train")


if __name__ == "__main__":
    main()
