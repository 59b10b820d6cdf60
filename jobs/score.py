#!/usr/bin/env python
"""``spark-submit jobs/score.py``: the same as ``msd-spark score``."""

from msd_spark.core.command_line import run_verb

if __name__ == "__main__":
    run_verb("score")
