"""Files that reach every machine once, for its workers to map into memory."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from pyspark import SparkContext, SparkFiles


def ship(context: SparkContext, write: Callable[[Path], None]) -> str:
    """Send files that `write` puts into a folder to every machine; return their name prefix."""
    folder = Path(tempfile.mkdtemp(prefix="msd-spark-shipped-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # a machine that joins later still fetches them
    write(folder)
    prefix = f"{uuid.uuid4().hex}-"  # Spark puts the files of all calls into one folder per machine
    for path in sorted(folder.iterdir()):
        context.addFile(str(path.rename(folder / f"{prefix}{path.name}")))
    return prefix


def shipped_folder() -> Path:
    """Return the folder of the files on this machine."""
    return Path(SparkFiles.getRootDirectory())
