"""Collectives; only this module and the launcher import Horovod (`make lint` checks it).

No collective has a `name`: `Ranks.noticing_losses` recognises a failed one by Horovod's default name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import horovod.tensorflow as hvd
import tensorflow as tf
from horovod.common.exceptions import HorovodInternalError, HostsUpdatedInterrupt

__all__ = ["HorovodInternalError", "HostsUpdatedInterrupt"]

join: Callable[[], None] = hvd.init
rank: Callable[[], int] = hvd.rank
size: Callable[[], int] = hvd.size
local_rank: Callable[[], int] = hvd.local_rank
local_size: Callable[[], int] = hvd.local_size
object_of_first: Callable[[Any], Any] = hvd.broadcast_object
"""Return rank 0's object on every rank."""

all_objects: Callable[[Any], list[Any]] = hvd.allgather_object
"""Return the objects of all ranks."""

gathered: Callable[[tf.Tensor], tf.Tensor] = hvd.allgather
"""Return the rows of all ranks; its gradient is the mean over the ranks, not the sum."""

elastic = hvd.elastic


def of_first(tensor: tf.Tensor) -> tf.Tensor:
    """Return rank 0's tensor on every rank."""
    return hvd.broadcast(tensor, 0)


def total(tensor: tf.Tensor) -> tf.Tensor:
    """Return the sum of a tensor over all ranks."""
    return hvd.allreduce(tensor, op=hvd.Sum)


def totals(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sums of several tensors over all ranks, in one collective.

    Sparse gradients become dense: Horovod would gather them, one by one.
    """
    return hvd.grouped_allreduce([tf.convert_to_tensor(tensor) for tensor in tensors], op=hvd.Sum)


def elastic_state(**values: Any) -> Any:
    """Return the state of an elastic training, from rank 0 for a new rank."""
    return SharedState(bcast_object=hvd.broadcast_object, get_rank=hvd.rank, **values)


class SharedState(hvd.elastic.ObjectState):  # type: ignore[misc]  # Horovod has no types
    """A state that all ranks exchange whenever ranks have left or joined.

    Horovod skips the exchange if ranks have only left. If two changes occur within one second, it ignores the later
    one; if that is a new rank, the new rank would wait for an exchange that the others skip.
    """

    def check_host_updates(self) -> None:
        """Raise `HostsUpdatedInterrupt` if the hosts have changed."""
        try:
            super().check_host_updates()
        except HostsUpdatedInterrupt:
            raise HostsUpdatedInterrupt(skip_sync=False) from None
