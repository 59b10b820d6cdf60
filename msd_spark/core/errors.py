"""Errors for the user, and reasons for rejecting an input."""

from __future__ import annotations


class UserError(RuntimeError):
    """An error that the user can correct; the command prints it as one line, without a traceback.

    The message names the object, the value seen and the remedy. The command adds the stage name.
    """


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
