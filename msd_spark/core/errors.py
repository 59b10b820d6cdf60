"""Errors for the user, and reasons for rejecting an input."""

from __future__ import annotations


class UserError(RuntimeError):
    """An error that the user can correct; the command prints it as one line.

    The message names the object, the value seen and the remedy. The command adds the stage name.
    """


class DamagedError(UserError):
    """A file of the warehouse is missing, incomplete or unreadable; the message names it."""


class InputError(ValueError):
    """An input that yields no row; goes to ``rejected/``.

    `reason` is a short code, `detail` the value seen.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, so that the error can be pickled from worker to driver
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
