"""Scalars of a run for TensorBoard: ``models/RUN/tensorboard/``, a point an epoch.

The log is made of the history, so a resumed run's is whole and has no epoch twice. While a run is
under way the log is in ``models/RUN/_unfinished/tensorboard/``; in an object store it is written on
this machine first and copied after each epoch.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msd_spark.core.runs import RUNS
from msd_spark.core.warehouse import Warehouse
from training.loop.checkpoints import UNFINISHED

TENSORBOARD = "tensorboard"

VALIDATION = "validation_"
"""How the names of the validation split's figures begin; they get a page of their own in TensorBoard."""


def tag(name: str) -> str:
    """Return TensorBoard's name of a figure: a group of charts and the chart.

    Examples
    --------
    >>> tag("validation_macro_f1"), tag("loss")
    ('validation/macro_f1', 'train/loss')
    """
    return f"validation/{name.removeprefix(VALIDATION)}" if name.startswith(VALIDATION) else f"train/{name}"


class TensorBoardLog:
    """The log of a run that is under way.

    Parameters
    ----------
    warehouse : Warehouse
    run : str
    history : sequence of dict
        Epochs that are done already.
    """

    def __init__(self, warehouse: Warehouse, run: str, history: Sequence[Mapping[str, Any]] = ()) -> None:
        import tensorflow as tf

        self._warehouse, self._run = warehouse, run
        warehouse.remove(RUNS, run, UNFINISHED, TENSORBOARD)
        self._scratch = None if warehouse.is_local else tempfile.mkdtemp(prefix="msd-spark-tensorboard-")
        self._folder = Path(self._scratch or warehouse.path(RUNS, run, UNFINISHED, TENSORBOARD))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._writer = tf.summary.create_file_writer(str(self._folder))
        for figures in history:
            self.write(figures)

    def write(self, figures: Mapping[str, Any]) -> None:
        """Add the figures of an epoch: a row of the history."""
        import tensorflow as tf

        with self._writer.as_default(step=int(figures["epoch"])):
            for name, value in figures.items():
                if name != "epoch" and value is not None:
                    tf.summary.scalar(tag(name), float(value))
        self._writer.flush()
        if self._scratch is not None:
            self._copy(self._warehouse.path(RUNS, self._run, UNFINISHED, TENSORBOARD))

    def copy_to(self, staging: str) -> None:
        """Copy the log into a folder that is about to become the finished run's, and close it."""
        self._writer.close()
        self._copy(f"{staging}/{TENSORBOARD}")
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _copy(self, folder: str) -> None:
        filesystem = self._warehouse.filesystem
        filesystem.create_dir(folder, recursive=True)
        for path in sorted(self._folder.iterdir()):
            with filesystem.open_output_stream(f"{folder}/{path.name}") as sink:
                sink.write(path.read_bytes())
