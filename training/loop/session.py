"""What every command that trains does first: read the options of a training, and join the other ranks.

No engine is imported before the ranks are joined.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.environment.doctor import require_sound_environment
from training.loop.options import add_options, checkpoint_settings, model_settings, training_settings
from training.protocol_2019.options import parse_options

if TYPE_CHECKING:
    from training.ranks.ranks import Ranks

# TensorFlow reads these as it is imported.
for _name, _value in {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}.items():
    os.environ.setdefault(_name, _value)


def training_arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return what ``training/train.py`` makes of the words of its command line.

    Raises
    ------
    UserError
        When the options do not fit together.
    """
    parser = job_parser("The options of training/train.py.")
    parser.prog = "training/train.py"
    add_options(parser)
    arguments = parse_options(parser, list(words))
    checkpoint_settings(arguments), training_settings(arguments), model_settings(arguments)
    return arguments


def join_ranks() -> Ranks:
    """Join the other ranks, with this one's share of the machine's cores and accelerators."""
    import horovod.tensorflow as hvd

    from training.ranks.devices import keep_to_own_cores, use_own_accelerator
    from training.ranks.ranks import Ranks

    ranks = Ranks.join()
    # Before anything else of TensorFlow: its threads and devices cannot be changed once it runs.
    keep_to_own_cores(hvd.local_rank(), hvd.local_size())
    use_own_accelerator(hvd.local_rank())
    return ranks


def forget_models() -> None:
    """Let go of what Keras and TensorFlow hold of the models so far; a process that trains many would grow."""
    import gc

    import keras

    keras.backend.clear_session()
    gc.collect()


def run_command(work: Callable[[], None]) -> None:
    """Check the environment, then work; an error that was foreseen is one line and exit status 2."""

    def checked() -> None:
        require_sound_environment()
        work()

    exit_with(checked)
