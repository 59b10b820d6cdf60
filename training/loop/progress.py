"""Console output of rank 0: one line per epoch, and a bar on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeVar

import psutil
from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0
"""A log gets a line this often within an epoch."""

Item = TypeVar("Item")

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


def epoch_line(row: Mapping[str, Any], epochs: int, metric: str, seconds: float) -> str:
    """Return an epoch's row of the history as one line, without metrics that the row lacks.

    `metric` is the target's main validation metric, and `seconds` include validation.

    Examples
    --------
    >>> row = {"epoch": 2, "loss": 2.17, "examples_per_second": 340.2, "waiting": 0.031, "validation_macro_f1": 0.0623}
    >>> epoch_line(row, 20, "macro_f1", 1.25)
    'epoch  2/20  loss 2.1700  macro F1 0.0623  340 examples/s  waiting 3%  1.2 s'
    """
    shown = {"loss": row["loss"], "validation loss": row.get("validation_loss")}
    shown[metric.replace("_", " ").replace(" f1", " F1")] = row.get(f"validation_{metric}")
    values = [f"{name} {value:.4f}" for name, value in shown.items() if value is not None]
    number = f"{row['epoch']:>{len(str(epochs))}}/{epochs}"
    speed = _speed(row["examples_per_second"], row["waiting"])
    return "  ".join([f"epoch {number}", *values, speed, f"{seconds:.1f} s"])


def _speed(rate: float, waiting: float) -> str:
    return f"{rate:,.0f} examples/s  waiting {waiting:.0%}"


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
        self._waited = 0.0
        self._began = self._printed = self.clock()
        self._bar: tqdm | None = None
        if self.shown and self.bar:
            title = f"epoch {epoch + 1}/{self.epochs}"
            self._bar = tqdm(desc=title, total=steps, initial=step, unit="step", file=self.stream, leave=False)

    def waiting_for(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the items of the epoch, and measure how long each one takes to arrive."""
        while True:
            began = self.clock()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._waited += self.clock() - began
            yield item

    def step(self, rows: int, loss: Callable[[], float]) -> None:
        """Count a step over `rows` rows of all ranks; `loss` is called only if it is shown."""
        self._done += 1
        self._rows += rows
        if not self.shown:
            return
        if self._bar is not None:
            if self._bar.update():
                self._bar.set_postfix_str(f"loss {loss():.4f}  {_speed(*self.speed)}  {self.left} left")
        elif self.clock() - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = self.clock()
            place = f"epoch {self._epoch + 1}/{self.epochs}  step {self._done:,}/{self._steps:,}"
            self._print(f"{place}  loss {loss():.4f}  {_speed(*self.speed)}  {self.left} left")

    @property
    def left(self) -> str:
        """Time to the end of the last epoch at the pace of this one, as hours:minutes:seconds."""
        pace = (self.clock() - self._began) / max(self._done - self._first, 1)
        return tqdm.format_interval(pace * (self._steps * (self.epochs - self._epoch) - self._done))

    @property
    def speed(self) -> tuple[float, float]:
        """Examples per second of all ranks so far in this epoch, and the share of time waiting."""
        seconds = max(self.clock() - self._began, 1e-9)
        return self._rows / seconds, self._waited / seconds

    def end(self) -> None:
        """End the steps of an epoch."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def report(self, row: Mapping[str, Any]) -> None:
        """Print an epoch's row of the history."""
        if self.shown:
            seconds = self.clock() - self._began
            self._print(epoch_line(row, self.epochs, self.metric, seconds))

    def _print(self, line: str) -> None:
        tqdm.write(line, file=self.stream)
        self.stream.flush()
