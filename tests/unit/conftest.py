"""How Hypothesis runs here: no deadlines, for machines under load, and no folder of its own in the repository.

Where `.ci/run` gates a change (it sets ``CI``), the same examples are drawn on every run, so that a change fails for
what it does and not for its luck; by hand, every run draws anew.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("unit", deadline=None, database=None, max_examples=60, derandomize="CI" in os.environ)
settings.load_profile("unit")
