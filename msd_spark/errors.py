"""Errors that people read: the stage, the thing, what was seen and what to do."""

from __future__ import annotations


class StageError(RuntimeError):
    """A stage cannot go on; nothing it was about to write is visible.

    Parameters
    ----------
    stage : str
        The stage's name as people type it, ``dataset`` for example.
    message : str
        What was seen, and what to do.
    """

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(f"{stage}: {message}")
        self.stage = stage
