"""The error of a training whose loss or scores are not finite."""

from __future__ import annotations

from msd_spark.core.errors import UserError


class DivergedError(UserError):
    """A training diverged with these settings; every rank raises it at the same step."""
