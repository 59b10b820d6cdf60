"""Drivers and executors that die during an ingest, and simultaneous ingests."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.job import ingest
from msd_spark.ingest.settings import PENDING, IngestSettings
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.support.submitted import Submitted, facts, submitted
from tests.support.tables import assert_same_songs, sums

N_SONGS = 600
EXECUTOR = "CoarseGrainedExecutorBackend"


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs") / "data"
    generate(SyntheticSettings(songs=N_SONGS, seed=9, workers=1, broken=0), folder)
    return folder / "songs"


@pytest.fixture(scope="module")
def uninterrupted(spark: SparkSession, songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    uri = tmp_path_factory.mktemp("uninterrupted")
    ingest(spark, IngestSettings((str(songs),), warehouse=str(uri), inputs_per_unit=20))
    return uri


def command(songs: Path, uri: Path) -> list[str]:
    words = ["--songs", str(songs), "--warehouse", str(uri), "--inputs-per-unit", "20", "--commit-every", "0.2"]
    return ["ingest.py", *words]


def n_kept(uri: Path) -> int:
    """Return the units that an unfinished ingest has committed."""
    snapshot = Warehouse(str(uri)).table(PENDING).snapshot()
    return sum(file.rows for file in snapshot.files) if snapshot else 0


def assert_as_if_uninterrupted(uri: Path, uninterrupted: Path) -> None:
    assert_same_songs(uri, uninterrupted)
    assert sums(uri) == (N_SONGS, N_SONGS, 0, 0)
    assert {path.name for path in uri.iterdir()} == {"ledger", "rejected", "songs", "summaries"}


def test_a_killed_driver_does_not_change_the_result(songs: Path, uninterrupted: Path, tmp_path: Path) -> None:
    uri = tmp_path / "w"
    with submitted(*command(songs, uri), log=tmp_path / "first.log") as first:
        first.wait_until(lambda: n_kept(uri) >= 5)
        first.kill()
    assert not Warehouse(str(uri)).is_complete("songs")
    done = n_kept(uri)
    with submitted(*command(songs, uri), log=tmp_path / "second.log") as second:
        second.succeed()
    assert 5 <= done < facts(uri)["units"]
    assert facts(uri)["units done before"] == done
    assert_as_if_uninterrupted(uri, uninterrupted)


def executors(job: Submitted) -> list[psutil.Process]:
    found = []
    for process in job.processes():
        try:
            if process.name() == "java" and any(EXECUTOR in word for word in process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_killed_executor_does_not_change_the_result(songs: Path, uninterrupted: Path, tmp_path: Path) -> None:
    uri = tmp_path / "w"
    printed = {"MSD_SPARK_TRACES": "stderr"}  # Spark's log
    cluster = "local-cluster[2,1,1024]"
    with submitted(*command(songs, uri), log=tmp_path / "log", master=cluster, environment=printed) as job:
        job.wait_until(lambda: n_kept(uri) >= 3)
        victim = executors(job)[0]
        victim.kill()
        job.succeed()
        assert "Lost executor" in job.said()
        assert "exited with code 137" in job.said()  # killed while working
    assert facts(uri)["units done before"] == 0
    assert_as_if_uninterrupted(uri, uninterrupted)


def test_two_ingests_at_once_end_with_the_union(songs: Path, uninterrupted: Path, tmp_path: Path) -> None:
    uri = tmp_path / "w"
    halves: list[list[str]] = [[], []]
    for number, path in enumerate(sorted(songs.rglob("*.h5"))):
        halves[number % 2].append(str(path))
    jobs = []
    with ExitStack() as stack:
        for number, paths in enumerate(halves):
            manifest = tmp_path / f"{number}.txt"
            manifest.write_text("\n".join(paths))
            words = ["ingest.py", "--manifest", str(manifest), "--warehouse", str(uri), "--inputs-per-unit", "20"]
            folder = tmp_path / str(number)
            folder.mkdir()
            jobs.append(stack.enter_context(submitted(*words, log=folder / "log")))
        for job in jobs:
            job.succeed()
    assert_same_songs(uri, uninterrupted)
    assert sums(uri) == (N_SONGS, N_SONGS, 0, 0)
