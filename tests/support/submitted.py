"""Jobs started by spark-submit, in processes that a test can kill."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyspark

from tests.conftest import REPOSITORY
from tests.support.running import Running, nothing_left


class Submitted(Running):
    """A running job.

    Parameters
    ----------
    arguments : sequence of str
        The script, below ``jobs/``, and its arguments.
    log : Path
        File for the output; the job runs in its folder.
    """

    def __init__(
        self, *arguments: str, log: Path, master: str = "local[2]", environment: Mapping[str, str] | None = None
    ) -> None:
        submit = Path(sys.executable).with_name("spark-submit")
        options = ("--master", master, "--driver-memory", "1g", "--conf", "spark.ui.enabled=false")
        spark = {"SPARK_HOME": str(Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable}
        variables = {**os.environ, **spark, "PYTHONPATH": str(REPOSITORY), **(environment or {})}
        script = REPOSITORY / "jobs" / arguments[0]
        super().__init__(submit, *options, script, *arguments[1:], log=log, folder=log.parent, environment=variables)


def submitted(*arguments: str, **options: Any) -> AbstractContextManager[Submitted]:
    """Start a job, and end all of its processes afterwards."""
    return nothing_left(Submitted(*arguments, **options))


def facts(uri: Path) -> dict[str, Any]:
    """Return the counts in the summary of the last ingest."""
    content = json.loads((uri / "summaries" / "ingest.json").read_text())
    return dict(content["facts"])
