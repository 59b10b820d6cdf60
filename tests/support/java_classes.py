"""Archive of Spark's Java classes for the tests: ``python -m tests.support.java_classes`` writes it if it is missing.

A JVM maps loaded and verified classes from the archive (class data sharing) instead of reading them from 200 jars,
which takes a third of the processor time of a short job. A JVM without a suitable archive reads the jars.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyspark

from msd_spark.environment.java import find_java

JAVA_OPTIONS = Path(__file__).parents[2].joinpath("tools", "java_options.txt").read_text().split()
"""Java options for short Spark sessions, also those of ``make demo``."""

SETTINGS = Path(pyspark.__file__).with_name("conf")
"""Spark's configuration folder, as ``make setup`` wrote it."""

FOLDER = Path(sys.prefix, "java-classes")


def archive() -> Path:
    """Return the path of the archive for the installed Java; it may not exist."""
    java = find_java()
    return FOLDER / f"{java.version if java else 'none'}.jsa"


def spark_environment() -> dict[str, str]:
    """Return environment variables of Spark processes of the tests, which use the archive if there is one."""
    path = archive()
    # With a missing or empty archive, Java would not use its default archive either.
    return _environment(*([f"-XX:SharedArchiveFile={path}"] if path.exists() and path.stat().st_size else []))


def _environment(*options: str) -> dict[str, str]:
    """Return environment variables of Spark processes: the settings of this installation, and Java `options`.

    Java archives no classes if a folder on the class path has files, so Spark's configuration folder is an empty one
    and the settings are Java properties. An archive is valid for one class path only.
    """
    empty = FOLDER / "no-settings"
    empty.mkdir(parents=True, exist_ok=True)
    lines = (SETTINGS / "spark-defaults.conf").read_text().splitlines()
    settings = dict(line.split(maxsplit=1) for line in lines)
    properties = settings | {"log4j2.configurationFile": str(SETTINGS / "log4j2.properties")}
    words = (*JAVA_OPTIONS, *options, "-Xlog:cds*=off", *(f"-D{name}={value}" for name, value in properties.items()))
    return {
        "SPARK_CONF_DIR": str(empty),
        "SPARK_DRIVER_MEMORY": settings["spark.driver.memory"],
        "SPARK_SUBMIT_OPTS": shlex.join(words),
    }


def use_many_classes() -> None:
    """Run a Spark session that uses what the jobs use."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812 - Spark's name

    from msd_spark.spark.session import start_spark

    def unchanged(batches: Iterable[Any]) -> Iterator[Any]:
        yield from batches

    spark = start_spark("classes")
    spark.sparkContext.parallelize(range(4), 2).flatMap(range).collect()
    rows = spark.range(100).select("id", (F.col("id") % 7).alias("key"), F.col("id").cast("string").alias("text"))
    rows = rows.mapInArrow(unchanged, rows.schema)
    texts = rows.groupBy("key").agg(F.count("*").alias("n"), F.collect_list("text").alias("texts"))
    ranks = F.row_number().over(Window.partitionBy("key").orderBy("id"))
    rows.join(texts, "key").withColumn("rank", ranks).orderBy("id").toPandas()
    rows.join(F.broadcast(texts), "key").select(F.explode("texts")).dropDuplicates().count()
    spark.createDataFrame(texts.toPandas()).cache().count()
    gateway: Any = spark.sparkContext._gateway
    spark.stop()
    gateway.proc.communicate()  # closes the standard input of Java, which ends and writes the archive


def _has_own_archive() -> bool:
    """Return whether Java has an archive of its own classes, without which it writes none of others."""
    java = find_java()
    return (
        java is not None
        and not subprocess.run([java.executable, "-Xshare:on", "-version"], capture_output=True).returncode
    )


def main() -> None:
    """Write the archive, unless it exists."""
    target = archive()
    if target.exists():
        return
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        written = Path(folder, "classes.jsa")
        os.environ |= _environment(f"-XX:ArchiveClassesAtExit={written}")
        if _has_own_archive():
            use_many_classes()
        written.touch()  # an empty file if this Java cannot archive, so that it is not tried again
        written.replace(target)


if __name__ == "__main__":
    main()
