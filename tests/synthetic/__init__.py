"""Tests of `msd_spark.synthetic` and its command."""
