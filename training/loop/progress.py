"""Console output of rank 0: one line per epoch, and a bar on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil
from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0
"""A log gets a line this often within an epoch."""

LAUNCHERS = ("horovodrun", "training.ranks.launch")


def is_terminal(stream: TextIO) -> bool:
    """Return whether the output to a stream reaches a terminal.

    ``horovodrun`` passes it on to a terminal of this machine.
    """
    if stream.isatty():
        return True
    if "HOROVOD_RANK" not in os.environ:
        return False
    try:
        for process in psutil.Process().parents():
            if any(Path(word).name in LAUNCHERS for word in process.cmdline()):
                return Path(os.readlink(f"/proc/{process.pid}/fd/2")).is_relative_to("/dev/pts")
    except (psutil.Error, OSError):
        pass
    return False


def epoch_line(row: Mapping[str, Any], epochs: int, metric: str, rate: float, seconds: float) -> str:
    """Return an epoch's row of the history as one line, without metrics that the row lacks.

    `metric` is the target's main validation metric, `rate` is in rows per second, and `seconds` include
    validation.

    Examples
    --------
    >>> row = {"epoch": 2, "loss": 2.17, "validation_loss": 2.5291, "validation_macro_f1": 0.0623}
    >>> epoch_line(row, 20, "macro_f1", 340.2, 1.25)
    'epoch  2/20  loss 2.1700  validation loss 2.5291  macro F1 0.0623  340 rows/s  1.2 s'
    """
    shown = {"loss": row["loss"], "validation loss": row.get("validation_loss")}
    shown[metric.replace("_", " ").replace(" f1", " F1")] = row.get(f"validation_{metric}")
    values = [f"{name} {value:.4f}" for name, value in shown.items() if value is not None]
    number = f"{row['epoch']:>{len(str(epochs))}}/{epochs}"
    return "  ".join([f"epoch {number}", *values, f"{rate:,.0f} rows/s", f"{seconds:.1f} s"])


@dataclass
class Progress:
    """Progress of a training.

    Nothing is printed unless `shown`, which is False on all ranks but rank 0. Without a `bar`, a long epoch prints a
    line every minute. `metric` is the target's main validation metric; `clock` returns seconds.
    """

    epochs: int
    metric: str
    shown: bool = True
    bar: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic

    def begin(self, epoch: int, step: int, steps: int) -> None:
        """Begin an epoch of `steps` steps, counted from 0, of which `step` are done."""
        self._epoch, self._steps, self._first, self._done, self._rows = epoch, steps, step, step, 0
        self._began = self._printed = self.clock()
        self._bar: tqdm | None = None
        if self.shown and self.bar:
            title = f"epoch {epoch + 1}/{self.epochs}"
            self._bar = tqdm(desc=title, total=steps, initial=step, unit="step", file=self.stream, leave=False)

    def step(self, rows: int, loss: Callable[[], float]) -> None:
        """Count a step over `rows` rows of all ranks; `loss` is called only if it is shown."""
        self._done += 1
        self._rows += rows
        if not self.shown:
            return
        if self._bar is not None:
            if self._bar.update():
                self._bar.set_postfix_str(f"loss {loss():.4f}, {self.left} left")
        elif self.clock() - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = self.clock()
            place = f"epoch {self._epoch + 1}/{self.epochs}  step {self._done:,}/{self._steps:,}"
            self._print(f"{place}  loss {loss():.4f}  {self._rate(self._printed):,.0f} rows/s  {self.left} left")

    @property
    def left(self) -> str:
        """Time to the end of the last epoch at the pace of this one, as hours:minutes:seconds."""
        pace = (self.clock() - self._began) / max(self._done - self._first, 1)
        return tqdm.format_interval(pace * (self._steps * (self.epochs - self._epoch) - self._done))

    def _rate(self, end: float) -> float:
        return self._rows / max(end - self._began, 1e-9)

    def end(self) -> None:
        """End the steps of an epoch."""
        self._ended = self.clock()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def report(self, row: Mapping[str, Any]) -> None:
        """Print an epoch's row of the history."""
        if self.shown:
            seconds = self.clock() - self._began
            self._print(epoch_line(row, self.epochs, self.metric, self._rate(self._ended), seconds))

    def _print(self, line: str) -> None:
        tqdm.write(line, file=self.stream)
        self.stream.flush()
