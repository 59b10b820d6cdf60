"""Share a machine's cores and GPUs among its ranks."""

from __future__ import annotations

import os
from collections.abc import Sequence

CORES = tuple(sorted(os.sched_getaffinity(0)))
"""The cores of this process before it was limited to its share."""


def own_cores(cores: Sequence[int], local_rank: int, local_ranks: int) -> tuple[int, ...]:
    """Return the cores of one of a machine's ranks: adjacent, and equally many for each rank.

    Examples
    --------
    >>> own_cores(range(8), 1, 2)
    (4, 5, 6, 7)
    >>> own_cores(range(2), 2, 3)
    (0,)
    """
    share = len(cores) // local_ranks
    if share == 0:
        return (cores[local_rank % len(cores)],)
    return tuple(cores[local_rank * share : (local_rank + 1) * share])


def keep_to_own_cores(local_rank: int, local_ranks: int) -> None:
    """Limit this rank to its own cores.

    Ranks wait for each other at every step, so a rank that shares its cores with another slows them all.
    """
    import pyarrow as pa
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    cores = own_cores(CORES, local_rank, local_ranks)
    # The threads of TensorFlow and Arrow inherit this: they start later.
    os.sched_setaffinity(0, cores)
    tf.config.threading.set_intra_op_parallelism_threads(len(cores))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    pa.set_cpu_count(len(cores))
    # With more BLAS threads than cores, the linear baseline takes ten times as long.
    threadpool_limits(len(cores))


def use_own_accelerator(local_rank: int) -> None:
    """Assign one of the machine's GPUs, if it has any, to this rank."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    if devices:
        tf.config.set_visible_devices(devices[local_rank % len(devices)], "GPU")
