"""A machine's cores and GPUs, shared among its ranks."""

from __future__ import annotations

import os


def limit_threads(local_ranks: int) -> None:
    """Share this machine's cores among its ranks, so that they do not get in one another's way."""
    import tensorflow as tf

    cores = max(1, len(os.sched_getaffinity(0)) // max(1, local_ranks))
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def use_own_accelerator(local_rank: int) -> None:
    """Give each rank of a machine one of its GPUs, where it has any."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    for device in devices:
        tf.config.experimental.set_memory_growth(device, True)
    if devices:
        tf.config.set_visible_devices(devices[local_rank % len(devices)], "GPU")
