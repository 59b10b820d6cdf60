"""TensorBoard log of a run: ``models/RUN/tensorboard/``, one point per epoch.

The log is written from the history, so the log of a resumed run is complete and has every epoch once. The log of an
unfinished run is in ``models/RUN/_unfinished/tensorboard/``; for an object store it is written to a local folder and
copied after each epoch.
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
"""Prefix of validation metrics in the history; they are a group of their own in TensorBoard."""


def tag(name: str) -> str:
    """Return the name of a metric in TensorBoard: a group of charts and the chart.

    Examples
    --------
    >>> tag("validation_macro_f1"), tag("loss")
    ('validation/macro_f1', 'train/loss')
    """
    return f"validation/{name.removeprefix(VALIDATION)}" if name.startswith(VALIDATION) else f"train/{name}"


class TensorBoardLog:
    """The log of an unfinished run, begun with the epochs of its history."""

    def __init__(self, warehouse: Warehouse, run: str, history: Sequence[Mapping[str, Any]] = ()) -> None:
        import tensorflow as tf

        self._warehouse, self._run = warehouse, run
        warehouse.remove(RUNS, run, UNFINISHED, TENSORBOARD)
        self._scratch = None if warehouse.is_local else tempfile.mkdtemp(prefix="msd-spark-tensorboard-")
        self.folder = Path(self._scratch or warehouse.path(RUNS, run, UNFINISHED, TENSORBOARD))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._writer = tf.summary.create_file_writer(str(self.folder))
        for row in history:
            self.write(row)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add an epoch, given its row of the history."""
        import tensorflow as tf

        with self._writer.as_default(step=int(row["epoch"])):
            for name, value in row.items():
                if name != "epoch" and value is not None:
                    tf.summary.scalar(tag(name), float(value))
        self._writer.flush()
        if self._scratch is not None:
            self._copy(self._warehouse.path(RUNS, self._run, UNFINISHED, TENSORBOARD))

    def copy_to(self, folder: str) -> None:
        """Close the log and copy it to the folder of the finished run."""
        self._writer.close()
        self._copy(f"{folder}/{TENSORBOARD}")
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _copy(self, folder: str) -> None:
        filesystem = self._warehouse.filesystem
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            copy = f"{folder}/{path.relative_to(self.folder).as_posix()}"
            self._warehouse.make_folder(copy.rpartition("/")[0])
            with filesystem.open_output_stream(copy) as sink:
                sink.write(path.read_bytes())
