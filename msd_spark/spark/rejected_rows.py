"""Count rejected rows of a Spark frame by reason."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from msd_spark.core.rejections import Rejection


def examples(rejected: DataFrame) -> tuple[list[Rejection], dict[str, int]]:
    """Return one rejection for each reason, and the number of rows by reason.

    The frame has the columns ``source``, ``member``, ``reason`` and ``detail``.
    """
    columns = [sf.first(name).alias(name) for name in ("source", "member", "detail")]
    rows = rejected.groupBy("reason").agg(sf.count("*").alias("n"), *columns).orderBy("reason").collect()
    counts = {row["reason"]: int(row["n"]) for row in rows}
    return [Rejection(row["source"], row["reason"], row["detail"], row["member"]) for row in rows], counts
