"""The Spark session that every job runs in, its progress bar and its errors."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession
from tqdm import tqdm

from msd_spark.core.errors import UserError
from msd_spark.core.hosts import LOOPBACK, no_address, own_name_resolves
from msd_spark.core.trace_log import is_printed, last_words, log_path, spark_folder_fault
from msd_spark.spark import daemon

T = TypeVar("T")

ArrowFunction = Callable[[Iterable[Any]], Iterable[Any]]
"""Argument of `DataFrame.mapInArrow`: from record batches to record batches."""

TASKS_LEFT_PER_CORE = 2
"""A task is sized so that the remaining units would make this many tasks of its size per core."""

MOST_UNITS_PER_TASK = 8
"""Progress is counted when a task ends, so tasks must not be too long."""

DAEMON = "spark.python.daemon.module"
"""Spark's setting for the module of the process from which it forks Python workers."""

GATEWAY = "PYSPARK_GATEWAY_PORT"
"""Environment variable in which ``spark-submit`` states the port of the Java that it has started."""

SHUFFLE = "spark.sql.shuffle.partitions"
LOCAL_PARTITIONS_PER_CORE = 4

SECONDS_BETWEEN_UPDATES = {True: 0.5, False: 30.0}
"""Refresh interval of the progress bar, by whether standard error is a terminal; a log gets one line per update."""


LOG_SETTINGS = """
rootLogger.level = error
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {path}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{HH:mm:ss}} %p %c{{1}}: %m%n%ex
"""
"""Settings of Log4j that write to a file."""


def start_spark(application: str) -> SparkSession:
    """Return the Spark session, with few log messages and Python workers of this interpreter.

    Settings of ``spark-submit`` (master, memory, archives) are kept; without it Spark uses all cores of this machine.
    """
    if GATEWAY not in os.environ:  # otherwise spark-submit has started Java
        check_java(os.environ)
        use_own_address(os.environ)
    if fault := spark_folder_fault(os.environ, size=1 << 20):
        raise UserError(fault)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.appName(application)
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.ui.showConsoleProgress", "false")
    )
    # An error in a task, with its trace, would be printed as a warning before it is raised.
    warnings.filterwarnings("ignore", "toPandas attempted Arrow optimization", UserWarning)
    SparkContext._ensure_initialized()  # `SparkConf` has the settings of spark-submit
    submitted = SparkConf()
    # Before a task, files of --py-files are not on the module search path, which may lack msd_spark then.
    if not (submitted.get("spark.submit.pyFiles", "") or submitted.contains(DAEMON)):
        builder = builder.config(DAEMON, daemon.__name__)
    at_interrupt = signal.getsignal(signal.SIGINT)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # of many kinds
        if "UnknownHostException" in str(error):
            raise UserError(f"{no_address()}, or export SPARK_LOCAL_IP={LOOPBACK}") from error
        raise
    if at_interrupt is not signal.default_int_handler and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, at_interrupt)  # Spark's own handler calls Java, perhaps within another call
    _log_to_file(session)
    session.sparkContext.setLogLevel("ERROR")
    if (session.sparkContext.master or "").startswith("local") and not session.sparkContext.getConf().contains(SHUFFLE):
        # Spark's 200 partitions, sized for a cluster, make hundreds of tiny tasks per shuffle on one machine.
        session.conf.set(SHUFFLE, str(LOCAL_PARTITIONS_PER_CORE * session.sparkContext.defaultParallelism))
    return session


def use_own_address(environ: MutableMapping[str, str]) -> None:
    """Let Spark use the loopback address if the name of this machine has none."""
    if "SPARK_LOCAL_IP" not in environ and not own_name_resolves():
        environ["SPARK_LOCAL_IP"] = LOOPBACK


def check_java(environ: Mapping[str, str]) -> None:
    """Check that there is a Java launcher where Spark looks for it."""
    home = environ.get("JAVA_HOME")
    if shutil.which(f"{home}/bin/java" if home else "java", path=environ.get("PATH")) is None:
        problem = f"JAVA_HOME is {home}, where there is no bin/java" if home else "there is no Java on the PATH"
        raise UserError(f"{problem}; run msd-spark doctor")


def _log_to_file(session: SparkSession) -> None:
    """Send the driver's log messages to the log file instead of standard error.

    A driver on another machine (deploy mode cluster) keeps its log, which the cluster collects.
    """
    context = session.sparkContext
    path = None if is_printed() else log_path()
    if path is None or context.getConf().get("spark.submit.deployMode", "client") != "client":
        return
    with tempfile.NamedTemporaryFile("w", suffix=".properties", encoding="utf-8") as settings:
        settings.write(LOG_SETTINGS.format(path=path))
        settings.flush()
        java: Any = context._jvm
        java.org.apache.logging.log4j.core.config.Configurator.reconfigure(java.java.io.File(settings.name).toURI())


def share_out(units: Sequence[T], cores: int, least: int = 1) -> list[list[T]]:
    """Divide units of work among tasks, in order; tasks become smaller towards the end.

    The last tasks have one unit each, or `least` if there are enough units for all cores.

    Each task has a fixed cost, such as garbage collection in the worker, so the first tasks have several units. The
    last ones are small, so that no core waits long for another (guided self-scheduling, Polychronopoulos and Kuck
    1987).
    """
    tasks: list[list[T]] = []
    start, least = 0, max(1, min(least, len(units) // (TASKS_LEFT_PER_CORE * cores)))
    while start < len(units):
        size = (len(units) - start) // (TASKS_LEFT_PER_CORE * cores)
        stop = start + min(MOST_UNITS_PER_TASK, max(least, size))
        tasks.append(list(units[start:stop]))
        start = stop
    return tasks


@contextmanager
def progress(
    session: SparkSession,
    description: str,
    count: Callable[[], int] | None = None,
    total: int | None = None,
    unit: str = "song",
) -> Iterator[None]:
    """Show a progress bar on standard error while Spark works.

    A terminal shows one line that is updated; a log gets one line every 30 seconds and one at the end. A bar that has
    counted nothing prints nothing. `count` returns the units done, of `total`; by default the bar counts the tasks of
    Spark's active stages.
    """
    stop = threading.Event()
    terminal = sys.stderr.isatty()
    bar = tqdm(
        desc=description,
        total=total,
        unit="task" if count is None else "iB" if unit == "B" else unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        file=sys.stderr,
        delay=math.inf,  # printed below, once it has counted
    )
    tasks: dict[int, tuple[int, int]] = {}

    def count_done() -> None:
        if count is not None:
            bar.n = count()
            return
        tracker = session.sparkContext.statusTracker()
        stages = filter(None, map(tracker.getStageInfo, tracker.getActiveStageIds()))
        tasks.update({stage.stageId: (stage.numCompletedTasks, stage.numTasks) for stage in stages})
        bar.n, bar.total = (sum(column) for column in zip((0, 0), *tasks.values(), strict=True))

    def show() -> None:
        if bar.n and terminal:
            bar.refresh()
        elif bar.n:
            print(bar, file=sys.stderr, flush=True)

    def follow() -> None:
        while not stop.wait(SECONDS_BETWEEN_UPDATES[terminal]):
            count_done()
            show()

    follower = threading.Thread(target=follow, name="progress", daemon=True)
    follower.start()
    try:
        yield
        if count is not None:
            bar.n = count()
        else:  # every stage has ended, whatever the last look at it found
            bar.n = bar.total = sum(n_tasks for _, n_tasks in tasks.values())
    finally:
        stop.set()
        follower.join()
        show()
        if terminal and bar.n:
            print(file=sys.stderr)
        bar.close()


@contextmanager
def worker_errors(action: str, remedy: str = "") -> Iterator[None]:
    """Convert the error of a failed worker to a `UserError`: "ACTION failed: REASON; REMEDY"."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Spark wraps a worker's failure in errors of many kinds
        reason = last_words(error).rpartition(f"{UserError.__name__}: ")[2]
        raise UserError(f"{action} failed: {reason}{remedy and '; '}{remedy}") from error
