"""Fixtures of the cluster's tests: data, a local run of all stages, and the same on the cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from msd_spark.core.data_folder import DataFolder
from msd_spark.core.warehouse import Warehouse
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.cluster.cluster import WORKERS, Cluster, running_cluster
from tests.cluster.machines import obstacle
from tests.cluster.stages import Stages
from tests.conftest import REPOSITORY, TABLES
from tests.support.launched import environment

BUCKET = "cluster"

SECONDS = TABLES.setdefault("cluster, seconds", {})


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Show how long a block takes, at the end of the tests."""
    started = time.monotonic()
    yield
    SECONDS[name] = round(time.monotonic() - started, 1)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    folder = tmp_path_factory.mktemp("cluster") / "data"
    generate(SyntheticSettings(songs=300, seed=7), folder)
    return DataFolder.find(folder)


@pytest.fixture(scope="session")
def local(data: DataFolder) -> Warehouse:
    """The warehouse of a local run."""
    folder = Path(data.folder)
    uri = folder.with_name("warehouse")
    settings = folder.with_name("settings.toml")
    settings.write_text(Stages.SETTINGS)
    options = (
        "--data",
        data.folder,
        "--warehouse",
        uri,
        "--settings",
        settings,
        "--skip",
        "factor-neighbours",
        "listen",
    )
    # As many cores as the cluster: the number of threads decides the order of sums, hence the last bits of a model.
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[: len(WORKERS)]))
    program = ["taskset", "--cpu-list", cores, Path(sys.executable).with_name("msd-spark")]
    with timed("local run of all stages"):
        done = subprocess.run(
            [*map(str, program), "pipeline", *map(str, options)],
            cwd=REPOSITORY,
            env=environment(),
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return Warehouse(str(uri))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if reason := obstacle():
        pytest.skip(f"network namespaces: {reason}")
    with ExitStack() as stack:
        with timed("start of the cluster"):
            cluster = stack.enter_context(running_cluster())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in cluster.store.environment().items():
            patch.setenv(name, value)
        cluster.store.create(BUCKET)
        yield cluster


@pytest.fixture(scope="session")
def stages(cluster: Cluster, data: DataFolder) -> Stages:
    """The commands of the stages, for data in the bucket."""
    client = cluster.store.client()
    for path in Path(data.folder).rglob("*"):
        if path.is_file():
            client.upload_file(str(path), BUCKET, f"data/{path.relative_to(data.folder)}")
    return Stages(f"s3://{BUCKET}/data", f"s3://{BUCKET}/warehouse")


@pytest.fixture(scope="session")
def finished(cluster: Cluster, stages: Stages) -> Warehouse:
    """The warehouse after all stages on the cluster."""
    with timed("ingest to dataset"):
        cluster.submit_several(stages.tables())
    with timed("train"):
        cluster.train(*stages.train("demo"))
    with timed("score to report"):
        cluster.submit_several(stages.of_run())
    return Warehouse(stages.warehouse)
