"""Collectives over any number of ranks, and errors that name a lost rank."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import keras
import numpy as np
import psutil
import tensorflow as tf

from msd_spark.core.errors import UserError
from training.ranks import collectives
from training.ranks.collectives import HorovodInternalError
from training.ranks.termination import raising_at_sigterm

T = TypeVar("T")
Item = TypeVar("Item")

SECONDS_TO_PRINT = 1.0

SECONDS_TO_VANISH = 2.0
"""A lost rank may be listed among this machine's processes for this long."""


class LostRankError(UserError):
    """Another rank ended too early, so this one cannot continue.

    `lost` are the lost ranks of this machine, empty if the lost rank was on another machine; `rank` noticed the loss.
    """

    def __init__(self, lost: tuple[int, ...], rank: int, message: str) -> None:
        super().__init__(message)
        self.lost = lost
        self.rank = rank

    @property
    def is_first_to_speak(self) -> bool:
        """Whether this is the lowest remaining rank: the one that prints the error."""
        return not any(other not in self.lost for other in range(self.rank))


@dataclass
class Stopwatch:
    """Sum of the seconds that pieces of work take."""

    seconds: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a block."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - started


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among all ranks.

    `alone` counts the time that rank 0 works while the others wait.
    """

    rank: int
    size: int
    alone: Stopwatch = field(default_factory=Stopwatch, compare=False)

    @classmethod
    def join(cls) -> Ranks:
        """Start Horovod; without a launcher this is the only rank."""
        collectives.join()
        return cls.joined()

    @classmethod
    def joined(cls) -> Ranks:
        """Return the ranks of a process that has started Horovod."""
        return cls(collectives.rank(), collectives.size())

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which writes and prints."""
        return self.rank == 0

    def agree_on(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        return collectives.object_of_first(value)

    def first_does(self, work: Callable[[], T]) -> T:
        """Call `work` on rank 0 and return its result on every rank.

        If `work` raises a `UserError`, rank 0 raises it and the other ranks exit silently.
        """
        done: tuple[Any, UserError | None] = (None, None)
        if self.is_first:
            try:
                with self.alone.running():
                    done = (work(), None)
            except UserError as error:
                done = (None, error)
        result, failed = self.agree_on(done)
        if failed is not None:
            self.fail(str(failed))
        return result

    def map(self, work: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        """Return ``[work(item) for item in items]`` on every rank; ranks share the items in turn.

        If `work` raises a `UserError` on any rank, rank 0 raises it and the other ranks exit silently.
        """
        if self.size == 1:
            return [work(item) for item in items]
        done: tuple[list[T], UserError | None] = ([], None)
        try:
            done = ([work(item) for item in items[self.rank :: self.size]], None)
        except UserError as error:
            done = ([], error)
        of_ranks: list[tuple[list[T], UserError | None]] = collectives.all_objects(done)
        failed = next((error for _, error in of_ranks if error is not None), None)
        if failed is not None:
            self.fail(str(failed))
        return [of_ranks[number % self.size][0][number // self.size] for number in range(len(items))]

    def fail(self, message: str) -> NoReturn:
        """Raise a `UserError` on rank 0 and exit silently on the others; every rank must call it."""
        if self.is_first:
            raise UserError(message)
        time.sleep(SECONDS_TO_PRINT)  # horovodrun ends rank 0 as soon as another rank has ended
        sys.exit(2)

    def share_weights(self, model: keras.Model) -> None:
        """Set the weights of rank 0 on every rank."""
        model.set_weights([np.asarray(collectives.of_first(tf.constant(array))) for array in model.get_weights()])

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all ranks, in order of rank; ranks may have different numbers of rows."""
        if rows.dtype.kind == "U":
            width = rows.dtype.itemsize // 4
            codes = rows.astype(f"U{width}").view(np.uint32).reshape(len(rows), width)
            return self.gather(codes).view(f"U{width}").reshape(-1)
        if rows.dtype == np.uint32:  # Horovod does not gather unsigned 32-bit integers
            return self.gather(rows.view(np.int32)).view(np.uint32)
        return np.asarray(collectives.gathered(tf.convert_to_tensor(rows)))

    def total(self, value: float) -> float:
        """Return the sum of a number over all ranks."""
        return float(self.totals(np.array(value)))

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of an array over all ranks, float64."""
        return np.asarray(collectives.total(tf.constant(values, tf.float64)))

    def differing(self, arrays: Sequence[np.ndarray]) -> list[int]:
        """Return the ranks whose arrays differ from those of rank 0, bit by bit."""
        digest = hashlib.blake2b()
        for array in arrays:
            digest.update(array.tobytes())
        digests = self.gather(np.frombuffer(digest.digest(), np.uint8)[None])
        return np.flatnonzero((digests != digests[0]).any(axis=1)).tolist()

    @contextmanager
    def noticing_losses(self, remedy: str = "start again") -> Iterator[None]:
        """Raise `LostRankError` with a remedy if a collective fails or the launcher ends all ranks.

        An error of TensorFlow counts as a lost rank if its message contains "Horovod", as the default name of every
        collective does.

        A ``SIGTERM`` while all ranks are alive ends this one as usual.
        """
        processes: list[tuple[str, int]] = collectives.all_objects((socket.gethostname(), os.getpid()))

        def error_of_signal() -> BaseException:
            return self._loss(processes, remedy) if gone(processes) else SystemExit(128 + signal.SIGTERM)

        with raising_at_sigterm(error_of_signal) as ignore_sigterm:
            try:
                yield
            except (HorovodInternalError, tf.errors.OpError) as error:
                if isinstance(error, tf.errors.OpError) and "Horovod" not in str(error):
                    raise
                ignore_sigterm()  # while the lost rank is identified
                raise self._loss(processes, remedy) from error

    def _loss(self, processes: Sequence[tuple[str, int]], remedy: str) -> LostRankError:
        lost, deadline = gone(processes), time.monotonic() + SECONDS_TO_VANISH
        while not lost and time.monotonic() < deadline:
            time.sleep(0.05)
            lost = gone(processes)
        names = [f"rank {rank} (process {processes[rank][1]} on {processes[rank][0]})" for rank in lost]
        subject = " and ".join(names) or "a rank on another machine"
        return LostRankError(lost, self.rank, f"{subject} was lost; {remedy}")


def gone(processes: Sequence[tuple[str, int]]) -> tuple[int, ...]:
    """Return the ranks of this machine whose process has ended.

    `processes` has the host name and process id of each rank.
    """
    host = socket.gethostname()
    return tuple(rank for rank, (name, process) in enumerate(processes) if name == host and not _is_alive(process))


def _is_alive(process: int) -> bool:
    try:
        return psutil.Process(process).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
