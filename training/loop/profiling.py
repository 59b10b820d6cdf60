"""A trace of some training steps for TensorBoard's profiler (``--profile``)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from training.loop.trainer import Trainer

FIRST, STEPS = 10, 20
"""Steps before the trace, in which TensorFlow builds graphs and allocates memory, and steps of the trace."""


@contextmanager
def profiled(trainer: Trainer, folder: Path) -> Iterator[None]:
    """Write a trace of some steps of a trainer to ``plugins/profile/`` in a folder."""
    step, done, tracing = trainer.step, 0, False

    def end() -> None:
        nonlocal tracing
        if tracing:
            tracing = False
            tf.profiler.experimental.stop()

    def traced(*arguments: Any) -> tuple[tf.Tensor, tf.Tensor]:
        nonlocal done, tracing
        if done == FIRST:
            tf.profiler.experimental.start(str(folder))
            tracing = True
        with tf.profiler.experimental.Trace("train", step_num=done, _r=1):
            result: tuple[tf.Tensor, tf.Tensor] = step(*arguments)
        done += 1
        if done == FIRST + STEPS:
            np.asarray(result[0])  # wait for the device
            end()
        return result

    trainer.step = traced
    try:
        yield
    finally:
        trainer.step = step
        end()
    if done <= FIRST:
        print(
            f"WARNING: --profile wrote no trace: it begins after {FIRST} steps, and this training had {done}",
            file=sys.stderr,
        )
