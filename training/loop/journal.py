"""Files of an unfinished run, written by rank 0: checkpoints and the TensorBoard log."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import Settings, at_least, option
from training.loop.checkpoints import Checkpoints
from training.loop.state import TrainingState
from training.loop.tensorboard_log import TensorBoardLog


@dataclass(frozen=True)
class CheckpointSettings(Settings):
    """When checkpoints are written, and whether the finished run keeps the last one."""

    every: int = option(
        1,
        "epochs between checkpoints; 0: no checkpoints",
        name="checkpoint-every",
        metavar="EPOCHS",
        check=at_least(0),
    )
    steps: int = option(
        0,
        "steps between checkpoints within an epoch; 0: none within an epoch",
        name="checkpoint-steps",
        metavar="STEPS",
        check=at_least(0),
    )
    keep: bool = option(False, "keep the last checkpoint in the finished run's folder", name="keep-checkpoints")


class Journal:
    """Writes the checkpoints and the log of a training, resumed from `begin` if given."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        settings: CheckpointSettings,
        begin: TrainingState | None = None,
    ) -> None:
        self._checkpoints, self._settings = checkpoints, settings
        self._log = TensorBoardLog(checkpoints.warehouse, checkpoints.run, begin.history if begin else ())

    def keep(self, state: TrainingState) -> None:
        """Write what is due after a step or an epoch."""
        every = self._settings.every
        if state.step:
            self._checkpoints.write(state)
            return
        self._log.write(state.history[-1])
        if every and state.epoch % every == 0:
            self._checkpoints.write(state)

    def copy_to(self, folder: str) -> None:
        """Copy the log, and checkpoints to be kept, to the folder of the finished run."""
        self._log.copy_to(folder)
        if self._settings.keep:
            self._checkpoints.copy_to(folder)
