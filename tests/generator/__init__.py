"""Tests of `msd_spark.generator` and its command."""
