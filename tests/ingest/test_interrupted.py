"""Drivers and executors that die during an ingest, and simultaneous ingests."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from msd_spark.ingest.job import ingest
from msd_spark.ingest.settings import OUTCOMES, WORK, IngestSettings
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.support.submitted import Submitted, facts, submitted
from tests.support.tables import assert_same_songs, files, sums

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
    return ["ingest.py", "--songs", str(songs), "--warehouse", str(uri), "--inputs-per-unit", "20"]


def n_outcomes(uri: Path) -> int:
    folder = uri / OUTCOMES
    return len(list(folder.glob("[!_]*.json"))) if folder.is_dir() else 0


def assert_as_if_uninterrupted(uri: Path, uninterrupted: Path) -> None:
    assert_same_songs(uri, uninterrupted)
    assert sums(uri) == (N_SONGS, N_SONGS, 0, 0)
    assert {path.name for path in uri.iterdir()} == {"ledger", "rejected", "songs", "summaries"}


def test_a_killed_driver_does_not_change_the_result(songs: Path, uninterrupted: Path, tmp_path: Path) -> None:
    uri = tmp_path / "w"
    with submitted(*command(songs, uri), log=tmp_path / "first.log") as first:
        first.wait_until(lambda: n_outcomes(uri) >= 5)
        first.kill()
    assert not (uri / "songs" / "_SUCCESS").exists()
    done = n_outcomes(uri)
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
    with submitted(*command(songs, uri), log=tmp_path / "log", master="local-cluster[2,1,1024]") as job:
        job.wait_until(lambda: n_outcomes(uri) >= 3)
        victim = executors(job)[0]
        victim.kill()
        job.succeed()
        assert "Lost executor" in job.said()
        assert "exited with code 137" in job.said()  # killed while working
    assert facts(uri)["units done before"] == 0
    assert_as_if_uninterrupted(uri, uninterrupted)


def test_a_second_ingest_is_refused_while_the_first_is_running(
    songs: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    uri = tmp_path / "w"
    with submitted(*command(songs, uri), log=tmp_path / "first.log") as first:
        first.wait_until(lambda: n_outcomes(uri) >= 1)
        suspended = first.processes()
        for process in suspended:
            process.suspend()  # slow, but alive
        with submitted(*command(songs, uri), log=tmp_path / "second.log") as second:
            assert second.status() == 2
        assert f"ingest: another ingest is running on {uri} (process " in second.said()
        assert "Traceback" not in second.said()
        assert len(list((uri / WORK).glob("lock-*.json"))) == 1
        for process in suspended:
            process.resume()
        first.succeed()
    assert files(uri)
    assert_as_if_uninterrupted(uri, uninterrupted)
