#!/usr/bin/env python
"""``spark-submit jobs/ingest.py``: the same as ``msd-spark ingest``."""

from msd_spark.core.command_line import run_verb

if __name__ == "__main__":
    run_verb("ingest")
