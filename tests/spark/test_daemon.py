"""The module path of Spark's Python workers."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession

from msd_spark.spark.daemon import without_archives

PACKAGE = Path(pyspark.__file__).parent


def test_archives_of_the_installed_spark_are_left_out() -> None:
    archives = [
        f"{PACKAGE}/python/lib/pyspark.zip",
        f"{PACKAGE}/python/lib/py4j-src.zip",
        f"{PACKAGE}/jars/spark-core.jar",
    ]
    assert without_archives(["", *archives, *sys.path]) == ["", *sys.path]


def test_zip_files_of_another_spark_stay() -> None:
    others = ["/usr/lib/spark/python/lib/pyspark.zip", "/usr/lib/spark/python/lib/py4j-src.zip", "code.zip"]
    assert without_archives([*others, "/usr/lib/spark/jars/spark-core.jar", *sys.path]) == [*others, *sys.path]
    assert without_archives([*others, "/usr/lib/spark/jars/spark-core.jar"]) == others


def test_workers_have_no_archive_to_read_again(spark: SparkSession) -> None:
    def searched(_: Iterable[int]) -> list[str]:
        return [*sys.path, *sys.path_importer_cache]

    places = spark.sparkContext.parallelize([0], 1).mapPartitions(searched).collect()
    assert any(place.endswith("site-packages") for place in places)
    assert not [place for place in places if place.endswith((".zip", ".jar")) and Path(place).exists()]
