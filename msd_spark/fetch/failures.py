"""Failure of one mirror; failures that end the command are a `UserError`."""

from __future__ import annotations


class MirrorError(Exception):
    """One mirror does not have the file; another one may."""
