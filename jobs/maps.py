#!/usr/bin/env python
"""``python jobs/maps.py``, or by ``spark-submit``: the same as ``msd-spark maps``."""

from msd_spark.core.command_line import run_verb

if __name__ == "__main__":
    run_verb("maps")
