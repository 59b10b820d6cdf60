#!/usr/bin/env python
"""``spark-submit jobs/neighbours.py``: the same as ``msd-spark neighbours``."""

from msd_spark.core.command_line import run_verb

if __name__ == "__main__":
    run_verb("neighbours")
