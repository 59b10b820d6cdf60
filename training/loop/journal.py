"""Files of an unfinished run, written by rank 0: checkpoints and the TensorBoard log."""

from __future__ import annotations

from training.loop.checkpoints import Checkpoints
from training.loop.settings import CheckpointSettings
from training.loop.state import TrainingState
from training.loop.tensorboard_log import TensorBoardLog


class Journal:
    """Writes the checkpoints and the log of a training, resumed from `begin` if given."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        settings: CheckpointSettings,
        begin: TrainingState | None = None,
    ) -> None:
        self._checkpoints, self._settings = checkpoints, settings
        self.log = TensorBoardLog(checkpoints.warehouse, checkpoints.run, begin.history if begin else ())

    def keep(self, state: TrainingState) -> None:
        """Write what is due after a step or an epoch."""
        every = self._settings.every
        if state.step:
            if self._settings.steps:
                self._checkpoints.write(state)
            return
        self.log.write(state.history[-1])
        if every and state.epoch % every == 0:
            self._checkpoints.write(state)

    def copy_to(self, folder: str) -> None:
        """Copy the log, and checkpoints to be kept, to the folder of the finished run."""
        self.log.copy_to(folder)
        if self._settings.keep:
            self._checkpoints.copy_to(folder)
