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
        super().__init__(stage, message)  # both, so that the error can cross from a worker to the driver
        self.stage = stage
        self.message = message

    def __str__(self) -> str:
        return f"{self.stage}: {self.message}"


class InputError(ValueError):
    """An input that gives no row: what ``rejected/`` says of it.

    Parameters
    ----------
    reason : str
        A short code.
    detail : str
        What was seen.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that the error can cross from a worker to the driver
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
