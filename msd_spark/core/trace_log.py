"""Write traces of errors to a log file, which the printed line names."""

from __future__ import annotations

import atexit
import os
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

SPARK = ("py4j", "pyspark")
"""Packages whose errors have Java's trace as text."""

TRACES = "MSD_SPARK_TRACES"
"""Environment variable; ``stderr`` on machines whose files are lost, such as nodes of EMR, prints traces there."""

SPARK_FOLDERS = "SPARK_LOCAL_DIRS"
"""Environment variable of Spark; its folders for temporary files, separated by commas."""

SCRATCH_BYTES = 64 << 20
"""A disk with less free space than this is reported as the cause of the error "No space left on device"."""

_named: list[Path] = []


def is_printed() -> bool:
    """Return whether traces are printed on standard error instead of the log file."""
    return os.environ.get(TRACES) == "stderr"


@cache
def log_path() -> Path | None:
    """Return the path of this process's log file; None if it cannot be created.

    The file is deleted at exit unless a message names it.
    """
    try:
        handle, name = tempfile.mkstemp(prefix="msd-spark-", suffix=".log")
    except OSError:  # the disk is full
        return None
    os.close(handle)
    atexit.register(_delete_unnamed, Path(name), os.getpid())
    return Path(name)


def _delete_unnamed(path: Path, process: int) -> None:
    if path not in _named and os.getpid() == process:
        path.unlink(missing_ok=True)


def log_trace(error: BaseException) -> str:
    """Write the trace of an error to the log file; return the text that names it."""
    if is_printed():
        traceback.print_exception(error)
        return ""
    path = log_path()
    if path is None:
        return ""
    with suppress(OSError), path.open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.writelines(traceback.format_exception(error))
    _named.append(path)
    return f"; trace: {path}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def is_from_spark(error: BaseException) -> bool:
    """Return whether an error is one of Spark's, or of the bridge to Java."""
    return type(error).__module__.startswith(SPARK)


def spark_folder_fault(environ: Mapping[str, str], size: int) -> str | None:
    """Return an error message if `size` bytes do not fit into Spark's temporary folders."""
    for folder in (environ.get(SPARK_FOLDERS) or "/tmp").split(","):
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            reason = f"Spark cannot write temporary files to {folder} ({error.strerror})"
            return f"{reason}; free space there, or export {SPARK_FOLDERS}=FOLDER on a larger disk"
    return None


def last_words(error: Exception) -> str:
    """Return the line of a worker's traceback with the error, or that Spark's folders are full."""
    if "No space left on device" in str(error) and (full := spark_folder_fault(os.environ, SCRATCH_BYTES)):
        return full
    lines = [line.strip() for line in str(error).splitlines()]
    texts = [line for line in lines if line and not line.startswith(("at ", "File ", "^", "Traceback", "Caused by"))]
    python = [line for line in texts if line.split(":")[0].endswith(("Error", "Exception", "Exit"))]
    java = [line.removeprefix(": ") for line in texts if line.startswith(": ")]
    return (python or java or texts or [type(error).__name__])[0]
