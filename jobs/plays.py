#!/usr/bin/env python
"""``spark-submit jobs/plays.py``: the same as ``msd-spark plays``."""

from msd_spark.core.command_line import run_verb

if __name__ == "__main__":
    run_verb("plays")
