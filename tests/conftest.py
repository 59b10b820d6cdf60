"""Fixtures that several folders of tests share."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as hypothesis
from tabulate import tabulate

from msd_spark.core import cache
from msd_spark.core.data_folder import DataFolder
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import SyntheticSettings
from tests.support import fork_server, skips
from tests.support.built_once import built_once
from tests.support.java_classes import spark_environment
from tests.support.object_store import ObjectStore, served_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parents[1]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# No deadlines, for machines under load. Where CI is set, every run draws the same examples, so that a change fails
# for what it does; by hand, each run draws new ones.
hypothesis.register_profile("project", deadline=None, database=None, max_examples=60, derandomize="CI" in os.environ)
hypothesis.load_profile("project")

TABLES: dict[str, dict[str, Any]] = {}
"""Figures that tests found, by the heading under which they are shown at the end."""


LONGEST_FIRST = (
    "tests/test_readme.py",
    "tests/infra/test_stack.py",
    "tests/ingest/test_interrupted.py",
    "tests/scoring/test_s3.py",
    "tests/training/loop/test_trainer.py",
    "tests/training/test_resume.py",
    "tests/training/loop/test_elastic.py",
    "tests/training/test_search.py",
    "tests/pipeline/test_killed_training.py",
)
"""Files that take half a minute or more; one that started last would keep one process busy while others are idle."""

ONE_SESSION = (
    (
        "tests/ingest/test_interrupted.py",
        "tests/ingest/test_job_on_spark.py",
        "tests/ingest/test_s3.py",
        "tests/labels/test_job.py",
        "tests/plays/test_job.py",
        "tests/awkward/test_text_inputs.py",
        "tests/awkward/test_failures.py",
        "tests/awkward/test_messages.py",
        "tests/core/test_readers.py",
    ),
    (
        "tests/scoring/test_s3.py",
        "tests/scoring/test_job.py",
        "tests/scoring/test_job_trained.py",
        "tests/factors/test_job.py",
        "tests/factors/test_cold_evaluation.py",
        "tests/neighbours/test_job.py",
        "tests/dataset/test_job.py",
        "tests/awkward/test_duplicates.py",
        "tests/lyrics/test_job.py",
    ),
)
"""Files of tests on Spark that run in one process, because each process starts a Spark session of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests of the longest files to the front."""
    order = {REPOSITORY / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Assign whole files to processes, and the files of `ONE_SESSION` together."""
    from xdist.scheduler import LoadFileScheduling

    class BySession(LoadFileScheduling):  # type: ignore[misc]
        """Schedules groups of files."""

        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return next((files[0] for files in ONE_SESSION if file in files), file)

    return BySession(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--seeds``."""
    parser.addoption("--seeds", type=int, default=1, help="drawn sequences of steps after which trainings are killed")


def pytest_configure(config: pytest.Config) -> None:
    """Configure Spark; fork the processes of pytest-xdist from one server."""
    if not hasattr(config, "workerinput"):
        if n_processes := len(config.getoption("tx", ())):
            os.environ[fork_server.SERVER] = folder = fork_server.start()
            config.option.tx = [f"popen//python={fork_server.python(folder)}"] * n_processes
            prepare()  # while the server imports
        os.environ |= spark_environment()
        os.environ[cache.VARIABLE] = folder = tempfile.mkdtemp(prefix="msd-spark-cache-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


# A shell without job control ignores Ctrl-C for commands in the background; processes of the tests would inherit this.
signal.signal(signal.SIGINT, signal.default_int_handler)


def prepare() -> None:
    """Prepare Spark's Java classes and infra-tools, in parallel; tests skip without the latter."""
    infra_tools = subprocess.Popen(["make", "--no-print-directory", "infra-tools"], cwd=REPOSITORY)
    java_classes = [sys.executable, "-m", "tests.support.java_classes"]
    failed = subprocess.run(java_classes, cwd=REPOSITORY).returncode
    infra_tools.wait()
    if failed:
        raise pytest.UsageError(f"failed: {shlex.join(java_classes)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the tables of a worker to the controller, which fails on skips that CI forbids."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tables"] = TABLES
    elif skips.CI and skips.forbidden(skips.skipped_tests(session.config)) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Collect the tables of a worker."""
    for heading, figures in getattr(node, "workeroutput", {}).get("tables", {}).items():
        TABLES.setdefault(heading, {}).update(figures)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the tables, and skipped tests with their reasons."""
    skips.show(skips.skipped_tests(config), terminalreporter.write_line)
    for heading, figures in TABLES.items():
        if not figures:
            continue
        terminalreporter.write_line("")
        terminalreporter.write_line(tabulate(figures.items(), headers=[heading, ""], tablefmt="simple"))


@pytest.fixture(scope="session")
def sample() -> Path:
    """The real sample of the Million Song Dataset."""
    folder = REPOSITORY.parent / "shared" / "msd-sample"
    if not folder.is_dir():
        pytest.skip(f"real sample: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def million() -> Path:
    """Metadata of the whole catalogue: Parquet, one row per track, 16 columns."""
    path = REPOSITORY.parent / "shared" / "msd-real" / "million.parquet"
    if not path.exists():
        pytest.skip(f"real sample: no file {path}")
    return path


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The one Spark session of the tests, on two cores."""
    from msd_spark.spark.session import start_spark

    settings = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "4", "spark.driver.memory": "2g"}
    words = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", shlex.join(["--master", "local[2]", *words, "pyspark-shell"]))
        session = start_spark("msd-spark tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated catalogue with side files and three broken songs; do not change it."""
    settings = SyntheticSettings(songs=160, seed=11, workers=1)
    return built_once(tmp_path_factory, "generated", lambda folder: generate(settings, folder))


@pytest.fixture(scope="session")
def store() -> Iterator[ObjectStore]:
    """An object store; tests have buckets of their own in it."""
    with served_store() as store:
        yield store


@pytest.fixture(scope="session")
def warehouse(request: pytest.FixtureRequest, generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Every table up to the dataset, of the generated catalogue."""

    def build(folder: Path) -> None:
        make_tables(request.getfixturevalue("spark"), generated, folder)

    copy = tmp_path_factory.mktemp("warehouse") / "warehouse"
    return Warehouse(str(shutil.copytree(built_once(tmp_path_factory, "made-warehouse", build), copy)))


def make_tables(spark: SparkSession, generated: Path, folder: Path) -> None:
    """Write every table up to the dataset."""
    from msd_spark.dataset.job import make_dataset
    from msd_spark.ingest.job import ingest
    from msd_spark.ingest.settings import IngestSettings
    from msd_spark.labels.job import make_labels
    from msd_spark.labels.settings import LabelsSettings
    from msd_spark.lyrics.job import make_lyrics, read_inputs
    from msd_spark.lyrics.settings import LyricsSettings

    uri, data = str(folder), DataFolder.find(generated)
    target = Warehouse(uri)
    ingest(spark, IngestSettings(data.songs, warehouse=uri, inputs_per_unit=50)).finish(target)
    lyrics = LyricsSettings(data=str(generated), warehouse=uri)
    make_lyrics(spark, lyrics, read_inputs(lyrics)).finish(target)
    labels = Summary("labels")
    make_labels(LabelsSettings(cd1=data.labels["cd1"], min_examples=4, warehouse=uri), labels)
    labels.finish(target)
    dataset = DatasetSettings(uri, min_examples=4, rows_per_file=16, require=("genre",))
    make_dataset(spark, dataset).finish(target)
