#!/usr/bin/env python
"""``spark-submit jobs/report.py``: the same as ``msd-spark report``."""

from msd_spark.core.command_line import run_verb

if __name__ == "__main__":
    run_verb("report")
