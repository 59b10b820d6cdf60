"""The collectives that training needs, exact, over however many ranks there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import horovod.tensorflow as hvd
import keras
import numpy as np
import tensorflow as tf


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
        return cls(hvd.rank(), hvd.size())

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes and speaks."""
        return self.rank == 0

    def agree_on(self, value: Any) -> Any:
        """Return what rank 0 has for `value`, on every rank."""
        return hvd.broadcast_object(value, root_rank=0)

    def share_weights(self, model: keras.Model) -> None:
        """Give every rank the weights of rank 0."""
        model.set_weights([np.asarray(hvd.broadcast(tf.convert_to_tensor(array), 0)) for array in model.get_weights()])

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all ranks, in the ranks' order; their number may differ."""
        if rows.dtype.kind == "U":
            width = rows.dtype.itemsize // 4
            codes = rows.astype(f"U{width}").view(np.uint32).reshape(len(rows), width).astype(np.int32)
            return self.gather(codes).astype(np.uint32).view(f"U{width}").reshape(-1)
        return np.asarray(hvd.allgather(tf.convert_to_tensor(rows)))

    def total(self, value: float) -> float:
        """Return the sum of a number over all ranks."""
        return float(hvd.allreduce(tf.constant(value, tf.float64), op=hvd.Sum))

    def identical(self, arrays: list[np.ndarray]) -> bool:
        """Whether every rank holds the same arrays, to the bit."""
        mine = np.concatenate([np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays])
        first = np.asarray(hvd.broadcast(tf.convert_to_tensor(mine), 0))
        return self.total(float(not np.array_equal(mine, first))) == 0
