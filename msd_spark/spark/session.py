"""The Spark session that every job runs in, and writing a frame as a warehouse table."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pyspark.sql import DataFrame, SparkSession
from tqdm import tqdm

from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse

T = TypeVar("T")

ArrowFunction = Callable[[Iterable[Any]], Iterable[Any]]
"""What `DataFrame.mapInArrow` takes: record batches in, record batches out."""


TASKS_LEFT_PER_CORE = 2
"""A task takes such a part of what is left that this many of its size would remain for each core."""

MOST_UNITS_PER_TASK = 8
"""What a task has done is counted when it ends: progress should not have to wait long."""


def start_spark(application: str) -> SparkSession:
    """Return the Spark session, quiet and with Python workers of this interpreter.

    What ``spark-submit`` was told (master, memory, archives) is kept; outside of it Spark
    runs on all cores of this machine.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.appName(application)
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.ui.showConsoleProgress", "false")
    )
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def share_out(units: Sequence[T], cores: int) -> list[list[T]]:
    """Share units of work out to tasks: several a task at first, one at the end.

    Between two tasks a Python worker reads the tables of contents of Spark's zip files again and collects garbage,
    0.1 to 0.3 s in all: as long as it needs for dozens or hundreds of songs. The last tasks are small, so that no core
    waits long for another one (guided self-scheduling; Polychronopoulos and Kuck 1987).

    Parameters
    ----------
    units : sequence
        In the order in which they are to be begun.
    cores : int

    Returns
    -------
    list of list
        Every unit once, in order.
    """
    tasks: list[list[T]] = []
    start = 0
    while start < len(units):
        size = (len(units) - start) // (TASKS_LEFT_PER_CORE * cores)
        stop = start + min(MOST_UNITS_PER_TASK, max(1, size))
        tasks.append(list(units[start:stop]))
        start = stop
    return tasks


def write_table(frame: DataFrame, warehouse: Warehouse, *names: str) -> None:
    """Write `frame` as the warehouse's table `names`, replacing the one that is there."""
    with warehouse.replacing(*names) as staging:
        inner = f"{staging}/{names[-1]}"
        frame.write.mode("overwrite").parquet((warehouse.scheme or "file://") + inner)
        for info in warehouse.list_files(inner):
            name = info.path.rsplit("/", 1)[-1]
            if not name.startswith(("_", ".")):
                warehouse.filesystem.move(info.path, f"{staging}/{name}")
        warehouse.filesystem.delete_dir(inner)


@contextmanager
def progress(
    session: SparkSession, description: str, count: Callable[[], int] | None = None, total: int | None = None
) -> Iterator[None]:
    """Show a bar on the driver while Spark works.

    Parameters
    ----------
    session : SparkSession
    description : str
        What is being done.
    count, total : callable and int, optional
        How many things are done so far, and how many there are. Left out, the bar counts
        the tasks of the stages that Spark is running.
    """
    stop = threading.Event()
    unit = "task" if count is None else "song"
    bar = tqdm(desc=description, total=total, unit=unit, file=sys.stderr, mininterval=1.0)
    tasks: dict[int, tuple[int, int]] = {}

    def follow() -> None:
        # A terminal redraws one line; a log would get a line each time.
        while not stop.wait(0.5 if sys.stderr.isatty() else 10.0):
            show()

    def show() -> None:
        if count is not None:
            bar.n = count()
        else:
            tracker = session.sparkContext.statusTracker()
            for stage in map(tracker.getStageInfo, tracker.getActiveStageIds()):
                if stage is not None:
                    tasks[stage.stageId] = (stage.numCompletedTasks, stage.numTasks)
            bar.n, bar.total = (sum(column) for column in zip((0, 0), *tasks.values(), strict=True))
        bar.refresh()

    follower = threading.Thread(target=follow, name="progress", daemon=True)
    follower.start()
    try:
        yield
        if count is not None:
            bar.n = count()
        elif tasks:
            bar.n = bar.total = sum(total_tasks for _, total_tasks in tasks.values())
    finally:
        stop.set()
        follower.join()
        bar.close()


def last_words(error: Exception) -> str:
    """Return the line of a worker's traceback that says what happened."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("at ", "File ", "^", "Traceback", "Caused by"))]
    python = [line for line in said if line.split(":")[0].endswith(("Error", "Exception", "Exit"))]
    return (python or said or [type(error).__name__])[0]


@contextmanager
def worker_errors(action: str, remedy: str = "") -> Iterator[None]:
    """Turn whatever Spark raises for a worker's failure into a `UserError`: ACTION failed, the reason, the remedy."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Spark wraps a worker's failure in errors of many kinds
        reason = last_words(error).rpartition(f"{UserError.__name__}: ")[2]
        raise UserError(f"{action} failed: {reason}{remedy and '; '}{remedy}") from error
