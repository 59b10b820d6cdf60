"""Failures of files, Spark and the user: one line and an exit status, and traces only in a log file."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from msd_spark.core.command_line import main, reported
from msd_spark.core.errors import UserError
from msd_spark.core.options import declared_options
from msd_spark.core.verbs import VERBS
from msd_spark.core.warehouse import Warehouse
from msd_spark.spark.session import worker_errors
from tests.awkward import POSITIONAL

WORDS = {**POSITIONAL, "compare": ["--models", "cnn"]}
WITH_WAREHOUSE = [
    name
    for name, verb in VERBS.items()
    if any(one.name == "warehouse" for one in declared_options(verb.settings_class()))
]


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line with which a command fails."""
    with pytest.raises(SystemExit, match=r"^2$"):
        main(words)
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    return error


def log_in(message: str) -> str:
    """Return the content of the log file that a message names, and empty the file."""
    match = re.search(r"; trace: (\S+)$", message.strip())
    assert match
    content = Path(match[1]).read_text()
    Path(match[1]).write_text("")
    return content


def test_traces_are_printed_where_files_are_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MSD_SPARK_TRACES", "stderr")
    with pytest.raises(SystemExit, match=r"^1$"), reported("job"):
        raise KeyError("of ours")
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("job: unexpected KeyError: 'of ours'\n")


# Files and folders


@pytest.mark.parametrize("verb", WITH_WAREHOUSE)
def test_a_file_is_no_warehouse(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w").write_text("mine")
    words = [verb, *WORDS.get(verb, ()), "--warehouse", str(tmp_path / "w")]
    assert failure(capsys, *words) == f"{verb}: warehouse {tmp_path}/w is a file; choose a folder by --warehouse\n"
    assert (tmp_path / "w").read_text() == "mine"


@pytest.mark.parametrize("verb", ["ingest", "labels", "maps", "train", "evaluate", "report", "pipeline"])
def test_a_warehouse_below_a_file_is_refused(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w").write_text("mine")
    assert failure(capsys, verb, "--warehouse", str(tmp_path / "w" / "x")) == (
        f"{verb}: warehouse {tmp_path}/w/x cannot be written: {tmp_path}/w is a file; choose another --warehouse\n"
    )


def test_a_folder_without_permission_is_refused() -> None:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    process = os.fork()
    if not process:  # root may write everywhere
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            Warehouse(str(folder / "w")).check_writable()
        except UserError as error:
            os._exit(0 if f"{folder} is not writable; choose another --warehouse" in str(error) else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    folder.rmdir()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file of this process grow above a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_line_and_leaves_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Warehouse(str(tmp_path))
    warehouse.write_arrow(pa.table({"number": [1]}), "songs")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit, match=r"^2$"), reported("ingest"), full_disk(5000):
        warehouse.write_arrow(pa.table({"number": [str(number**9) for number in range(5000)]}), "songs")
    assert re.fullmatch(r"ingest: .*File too large\n", capsys.readouterr().err)
    assert sorted(tmp_path.rglob("*")) == before
    assert warehouse.read_table(None, "songs")["number"].to_pylist() == [1]


# Traces


def test_the_trace_of_an_unexpected_error_is_in_a_log_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^1$"), reported("demo"):
        raise ValueError("no such\ncolumn")
    error = capsys.readouterr().err
    assert error.startswith("demo: unexpected ValueError: no such column; trace: ")
    assert error.count("\n") == 1
    assert "Traceback (most recent call last)" in log_in(error)


def test_the_traces_of_spark_are_in_a_log_file(spark: SparkSession, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    numbers = spark.sparkContext.parallelize([1], 1)
    with pytest.raises(SystemExit, match=r"^2$"), reported("lyrics"):
        numbers.foreach(fail)
    error = capfd.readouterr().err
    assert error.startswith("lyrics: Spark failed: OSError: [Errno 28] No space left on device; trace: ")
    assert error.count("\n") == 1
    content = log_in(error)
    assert "ERROR Executor: Exception in task" in content  # as Java logs it
    assert "\tat org.apache.spark" in content
    with pytest.raises(SystemExit, match=r"^2$"), reported("score"), worker_errors("scoring", "run it again"):
        numbers.foreach(fail)
    error = capfd.readouterr().err
    assert error.startswith("score: scoring failed: OSError: [Errno 28] No space left on device; run it again; trace: ")
    assert error.count("\n") == 1
    log_in(error)


FAILED_CONVERSION = """
from msd_spark.core.command_line import reported
from msd_spark.spark.session import start_spark

def fail(batches):
    raise OSError("of a worker")

with reported("job"):
    start_spark("test").range(1).mapInArrow(fail, "id long").toPandas()
"""


def test_a_failed_conversion_to_pandas_prints_no_warning_with_a_trace() -> None:
    # In this process, pytest would catch the warning.
    ended = subprocess.run([sys.executable, "-c", FAILED_CONVERSION], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("job: Spark failed: OSError: of a worker; trace: ")
    log_in(ended.stderr)


# Ctrl-C


INTERRUPTS = """
import signal
from msd_spark.core.command_line import reported

def call():
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        raise ConnectionError("the call ended")

with reported("demo"):
    {}
"""


@pytest.mark.parametrize("call", ["signal.raise_signal(signal.SIGINT)", "call()"])
def test_an_interrupt_is_one_line_even_if_it_ends_in_another_error(call: str) -> None:
    ended = subprocess.run([sys.executable, "-c", INTERRUPTS.format(call)], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "demo: interrupted\n")


def interrupted(
    command: list[str], folder: Path, marker: str, seconds: float = 60
) -> tuple[int, str, list[psutil.Process]]:
    """Interrupt a command and its children when a file exists, as a terminal does; return status, output, orphans."""
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder)
        deadline = time.monotonic() + 90
        while not list(folder.glob(marker)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        status = process.wait(seconds)
    alive = psutil.wait_procs(children, timeout=20)[1]
    return status, (folder / "output").read_text(), alive


SPARK_JOB = """
import time
from msd_spark.core.command_line import reported
from msd_spark.spark.session import start_spark

def wait(_):
    open("begun", "w").close()
    time.sleep(100)

with reported("job"):
    context = start_spark("test").sparkContext
    count = context.accumulator(0)
    context.parallelize([1], 1).foreach(count.add)  # its server would print a trace when Java ends
    context.parallelize([1], 1).foreach(wait)
"""


def test_an_interrupted_spark_job_leaves_nothing_behind(tmp_path: Path) -> None:
    assert interrupted([sys.executable, "-c", SPARK_JOB], tmp_path, "begun") == (130, "job: interrupted\n", [])


def test_an_interrupted_generator_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [shutil.which("msd-spark") or "", "synthetic", "--songs", "20000", "--output", "data", "--workers", "2"]
    status, output, alive = interrupted(command, tmp_path, "data/*/*")
    assert (status, output.splitlines()[-1], alive) == (130, "synthetic: interrupted", [])
    assert "Traceback" not in output


@pytest.fixture
def silent_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store that accepts connections, for which it creates the file ``begun``, and never answers."""
    connections = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connections.append(server.accept())
                (tmp_path / "begun").touch()

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        threading.Thread(target=serve, daemon=True).start()
        yield


@pytest.mark.parametrize(
    "words",
    [["--songs", "s3://bucket/songs"], ["--manifest", "manifest"]],
    ids=["native code", "a worker of Spark"],
)
@pytest.mark.usefixtures("silent_store")
def test_a_slow_listing_does_not_delay_an_interrupt(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "manifest").write_text("s3://bucket/TRAAAAA128F0000000.h5\n")
    command = [shutil.which("msd-spark") or "", "ingest", *words, "--warehouse", "w"]
    assert interrupted(command, tmp_path, "begun", seconds=10) == (130, "ingest: interrupted\n", [])
