"""What goes wrong with one mirror; what ends the whole is a `UserError`."""

from __future__ import annotations

STAGE = "fetch"


class MirrorError(Exception):
    """One mirror does not give the file; the next one may."""


class InterruptedTransferError(Exception):
    """One attempt gave no whole file; another one may.

    Parameters
    ----------
    message : str
        What was seen.
    wait : float, optional
        Seconds that the server asked for.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait
