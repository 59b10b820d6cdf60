"""The collectives that training needs, exact, over however many ranks there are; and who is lost when one fails."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import horovod.tensorflow as hvd
import keras
import numpy as np
import psutil
import tensorflow as tf
from horovod.common.exceptions import HorovodInternalError

from msd_spark.core.errors import UserError
from training.ranks.termination import raising_when_told_to_end

T = TypeVar("T")

SECONDS_TO_VANISH = 2.0
"""How long a rank that was lost may still be listed among this machine's processes."""


class LostRankError(UserError):
    """Another rank ended before its time, so this one cannot go on.

    Parameters
    ----------
    lost : tuple of int
        Ranks of this machine that are gone; none where the lost one was on another machine.
    rank : int
        The rank that noticed.
    message : str
    """

    def __init__(self, lost: tuple[int, ...], rank: int, message: str) -> None:
        super().__init__("train", message)
        self.lost = lost
        self.rank = rank

    @property
    def is_first_to_speak(self) -> bool:
        """Whether this is the lowest rank that may be left: the one that tells people."""
        return not any(other not in self.lost for other in range(self.rank))


@dataclass(frozen=True)
class Ranks:
    """One process among the others.

    Attributes
    ----------
    rank, size : int
    """

    rank: int
    size: int

    @classmethod
    def join(cls) -> Ranks:
        """Join the other ranks; alone where no launcher started this process."""
        hvd.init()
        return cls.joined()

    @classmethod
    def joined(cls) -> Ranks:
        """Return this process among the ranks that it has joined."""
        return cls(hvd.rank(), hvd.size())

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes and speaks."""
        return self.rank == 0

    def agree_on(self, value: Any) -> Any:
        """Return what rank 0 has for `value`, on every rank."""
        return hvd.broadcast_object(value, root_rank=0)

    def first_does(self, work: Callable[[], T]) -> T:
        """Return on every rank what `work` gives on rank 0, which alone does it.

        Raises
        ------
        UserError
            On rank 0, when `work` raised it; the other ranks end without a word.
        """
        done: tuple[Any, UserError | None] = (None, None)
        if self.is_first:
            try:
                done = (work(), None)
            except UserError as error:
                done = (None, error)
        result, failed = self.agree_on(done)
        if failed is not None:
            if self.is_first:
                raise failed
            sys.exit(2)
        return result

    def share_weights(self, model: keras.Model) -> None:
        """Give every rank the weights of rank 0."""
        model.set_weights([np.asarray(hvd.broadcast(tf.convert_to_tensor(array), 0)) for array in model.get_weights()])

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all ranks, in the ranks' order; their number may differ."""
        if rows.dtype.kind == "U":
            width = rows.dtype.itemsize // 4
            codes = rows.astype(f"U{width}").view(np.uint32).reshape(len(rows), width)
            return self.gather(codes).view(f"U{width}").reshape(-1)
        if rows.dtype == np.uint32:  # Horovod gathers no unsigned integers of this size
            return self.gather(rows.view(np.int32)).view(np.uint32)
        return np.asarray(hvd.allgather(tf.convert_to_tensor(rows)))

    def total(self, value: float) -> float:
        """Return the sum of a number over all ranks."""
        return float(hvd.allreduce(tf.constant(value, tf.float64), op=hvd.Sum))

    def identical(self, arrays: list[np.ndarray]) -> bool:
        """Whether every rank holds the same arrays, to the bit."""
        mine = np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays])
        first = np.asarray(hvd.broadcast(tf.convert_to_tensor(mine), 0))
        return self.total(float(not np.array_equal(mine, first))) == 0

    @contextmanager
    def noticing_losses(self, how_to_go_on: str = "start again") -> Iterator[None]:
        """Turn what happens when another rank is gone into an error that names the rank.

        That is a collective that fails, or a launcher that ends all ranks. A ``SIGTERM`` while all ranks
        are there ends this one as usual, after what it holds open is put in order.

        Parameters
        ----------
        how_to_go_on : str
            For the error.

        Raises
        ------
        LostRankError
        """
        processes: list[tuple[str, int]] = hvd.allgather_object((socket.gethostname(), os.getpid()))

        def why_end() -> BaseException:
            return self._loss(processes, how_to_go_on) if gone(processes) else SystemExit(128 + signal.SIGTERM)

        with raising_when_told_to_end(why_end) as hear_no_more:
            try:
                yield
            except (HorovodInternalError, tf.errors.OpError) as error:
                if isinstance(error, tf.errors.OpError) and "Horovod" not in str(error):
                    raise
                hear_no_more()  # it takes a moment to see who is gone
                raise self._loss(processes, how_to_go_on) from error

    def _loss(self, processes: Sequence[tuple[str, int]], how_to_go_on: str) -> LostRankError:
        lost, deadline = gone(processes), time.monotonic() + SECONDS_TO_VANISH
        while not lost and time.monotonic() < deadline:
            time.sleep(0.05)
            lost = gone(processes)
        who = [f"rank {rank} (process {processes[rank][1]} on {processes[rank][0]})" for rank in lost]
        named = " and ".join(who) or "a rank on another machine"
        return LostRankError(lost, self.rank, f"{named} was lost; {how_to_go_on}")


def gone(processes: Sequence[tuple[str, int]]) -> tuple[int, ...]:
    """Return the ranks of this machine whose processes are no more.

    Parameters
    ----------
    processes : sequence of (str, int)
        Host name and process id of each rank.
    """
    host = socket.gethostname()
    return tuple(rank for rank, (where, process) in enumerate(processes) if where == host and not _is_alive(process))


def _is_alive(process: int) -> bool:
    try:
        return psutil.Process(process).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
