"""When a training has run away: a loss, or scores, that are no numbers any more."""

from __future__ import annotations

from msd_spark.core.errors import UserError


class DivergedError(UserError):
    """The settings do not train; all ranks find so at the same place, and others may.

    Parameters
    ----------
    stage : str
    message : str
    """
