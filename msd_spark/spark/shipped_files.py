"""Files that reach every machine once, for its workers to map into memory."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pyspark import SparkContext, SparkFiles


def ship(context: SparkContext, arrays: Mapping[str, np.ndarray], write: Callable[[Path], None] | None = None) -> str:
    """Send arrays, and files written by `write`, to every machine; return their name prefix."""
    folder = Path(tempfile.mkdtemp(prefix="msd-spark-shipped-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # a machine that joins later still fetches them
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    if write is not None:
        write(folder)
    prefix = f"{uuid.uuid4().hex}-"  # Spark puts the files of all calls into one folder per machine
    for path in sorted(folder.iterdir()):
        context.addFile(str(path.rename(folder / f"{prefix}{path.name}")))
    return prefix


def shipped_file(prefix: str, name: str) -> Path:
    """Return the path of a file on this machine."""
    return Path(SparkFiles.getRootDirectory(), f"{prefix}{name}")


def shipped_array(prefix: str, name: str) -> np.ndarray:
    """Return an array mapped into memory that all workers of this machine share."""
    return np.load(shipped_file(prefix, f"{name}.npy"), mmap_mode="r", allow_pickle=False)
