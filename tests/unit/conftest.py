"""How Hypothesis runs here: no deadlines, for machines under load, and no folder of its own in the repository."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unit", deadline=None, database=None, max_examples=60)
settings.load_profile("unit")
