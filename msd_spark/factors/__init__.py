"""Recommending from listens: implicit ALS, what stands beside it, and how all of them are judged by their ranking.

The pure core (`metrics`, `held_out`, `confidence`, `baselines`, `ranking`) is numpy and scipy; `spark_als` and
`recommendations` call Spark, `job` puts them together.
"""
