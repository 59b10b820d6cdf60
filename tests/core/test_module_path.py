"""The module search path of processes that Spark starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession

from msd_spark.core.module_path import without_archives
from tests.support.launched import environment

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


def test_a_job_that_spark_submit_starts_does_not_import_from_zip_files(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        "import sys\n"
        "from msd_spark.core.command_line import run_verb\n"
        "try:\n"
        "    run_verb('report')\n"
        "finally:\n"
        "    import pyspark\n"
        "    print(pyspark.__file__)\n"
    )
    command = [Path(sys.executable).with_name("spark-submit"), tmp_path / "job.py", "--run", "none"]
    environ = environment(SPARK_HOME=str(PACKAGE), PYSPARK_PYTHON=sys.executable)
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == str(PACKAGE / "__init__.py"), done.stderr
