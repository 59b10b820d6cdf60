"""Progress of a training, on rank 0 alone: a bar where people watch, a line now and then in a log."""

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
"""How often a log gets a line within an epoch."""

LAUNCHER = "horovodrun"


def duration(seconds: float) -> str:
    """Return a time to go, in its two largest units.

    Examples
    --------
    >>> [duration(seconds) for seconds in (4.4, 75, 3600 * 5 + 60)]
    ['4 s', '1 min 15 s', '5 h 01 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def figures_line(figures: Mapping[str, Any]) -> str:
    """Return the figures of an epoch as one line; those that an epoch has not are left out.

    Examples
    --------
    >>> figures_line({"epoch": 2, "loss": 1.23456})
    'epoch 2  loss 1.235'
    """
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None)


def someone_watches(stream: TextIO) -> bool:
    """Whether a stream ends in a terminal, also where ``horovodrun`` passes on what ranks of its own machine say."""
    if stream.isatty():
        return True
    if "HOROVOD_RANK" not in os.environ:
        return False
    try:
        for process in psutil.Process().parents():
            if any(Path(word).name == LAUNCHER for word in process.cmdline()):
                return Path(os.readlink(f"/proc/{process.pid}/fd/2")).is_relative_to("/dev/pts")
    except (psutil.Error, OSError):
        pass
    return False


@dataclass
class Progress:
    """Shows how a training goes.

    Attributes
    ----------
    epochs : int
        Epochs in all.
    steps : int
        Steps of an epoch.
    shown : bool
        Whether anything is said at all: on rank 0.
    bar : bool
        A bar that is drawn again and again, or lines.
    stream : file
    clock : callable
        Gives seconds.
    """

    epochs: int
    steps: int
    shown: bool = True
    bar: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Start the clock."""
        self._bar: tqdm | None = None
        self._epoch = self._first = self._done = self._examples = 0
        self._steps_seen = self._steps_before = 0
        self._began = self._said = self.clock()

    def begin(self, epoch: int, step: int = 0, steps: int | None = None) -> None:
        """Begin an epoch, counted from 0, at a step of it."""
        self.steps = self.steps if steps is None else steps
        self._epoch, self._done, self._first, self._examples = epoch, step, step, 0
        self._began = self._said = self.clock()
        if self.shown and self.bar:
            self._bar = tqdm(
                desc=f"epoch {epoch + 1}/{self.epochs}",
                total=self.steps,
                initial=step,
                unit="step",
                file=self.stream,
                mininterval=0.5,
                leave=False,
            )

    def step(self, examples: int, loss: Callable[[], float]) -> None:
        """Count a step, over so many examples of all ranks; `loss` is asked for only when it is shown."""
        self._done += 1
        self._examples += examples
        if not self.shown:
            return
        if self._bar is not None:
            if self._bar.update():
                self._bar.set_postfix_str(f"loss {loss():.4f}, {self.rate:,.0f} examples/s, {self.left} left")
        elif self.clock() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = self.clock()
            self._print(
                f"epoch {self._epoch + 1}/{self.epochs}  step {self._done:,} of {self.steps:,}  loss {loss():.4f}  "
                f"{self.rate:,.0f} examples/s  {self.left} left"
            )

    @property
    def rate(self) -> float:
        """Examples a second over all ranks, in this epoch."""
        return self._examples / max(self.clock() - self._began, 1e-9)

    @property
    def left(self) -> str:
        """Time to the last epoch's end at the pace of this one; early stopping may make it less."""
        done = self._done - self._first
        steps = self.steps - self._done + self.steps * (self.epochs - self._epoch - 1)
        return duration((self.clock() - self._began) / max(done, 1) * steps)

    def end(self) -> None:
        """End an epoch's steps."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def say(self, figures: Mapping[str, Any]) -> None:
        """Show the figures of an epoch, with the time left."""
        if not self.shown:
            return
        line = f"{figures_line(figures)}  {self.rate:,.0f} examples/s"
        self._print(line)

    def _print(self, line: str) -> None:
        tqdm.write(line, file=self.stream)
        self.stream.flush()
