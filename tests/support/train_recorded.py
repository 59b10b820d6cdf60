"""Run ``training/train.py``, record the track ids of each step, and be killed after a step, as the environment says."""

from __future__ import annotations

import json
import os
import signal
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from msd_spark.core.command_line import run_verb
from training.data.assembly import Tally
from training.data.feed import Feed, TrainingBatch
from training.loop import trainer

RECORDS, KILLED = "MSD_SPARK_RECORDS", "MSD_SPARK_KILLED"
"""A folder for the records, and ``RANK:STEP``, counted from 0 and from the start of the run."""


def records(folder: Path) -> dict[int, list[list[str]]]:
    """Return the track ids of all ranks in each step, by step; a step that was repeated has several lists."""
    parts: dict[tuple[str, int], list[str]] = {}
    for path in sorted(folder.iterdir()):
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
    prepared, batches = Feed.prepared, trainer.Trainer._batches

    def recorded(self: Feed, batch: Any, epoch: int) -> TrainingBatch:
        read.append(batch.track_ids)
        return prepared(self, batch, epoch)

    def steps(self: trainer.Trainer, first: int, last: int, tally: Tally) -> Generator[TrainingBatch]:
        rank, killed = self.ranks.rank, os.environ.get(KILLED, "")
        with Path(os.environ[RECORDS], f"{self.ranks.size}@{killed}-{rank}").open("a") as file:
            for step, batch in enumerate(batches(self, first, last, tally), first):
                yield batch
                file.write(f"{json.dumps([step, list(filter(None, read.popleft().tolist()))])}\n")
                file.flush()
                if killed == f"{rank}:{step}":
                    os.kill(os.getpid(), signal.SIGKILL)

    Feed.prepared, trainer.Trainer._batches = recorded, steps  # type: ignore[method-assign]
    run_verb("train")


if __name__ == "__main__":
    main()
