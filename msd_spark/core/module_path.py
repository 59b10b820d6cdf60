"""Shorten the module search path (`sys.path`) of processes that Spark starts.

Spark adds zip files, and a jar with thousands of classes. Python compiles the modules in a zip file on every import,
about 1 s per job, and each Python worker reads the directories of all archives before every task, 0.1 to 0.3 s.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder


def without_archives(path: Sequence[str]) -> list[str]:
    """Return a search path without the jar of Spark's classes and the zip files of pyspark.

    Those zip files repeat the modules of the packages ``pyspark`` and ``py4j``. Zip files of another Spark stay, as
    its version may differ.
    """
    folders = [name for name in path if not name.endswith((".zip", ".jar"))]
    pyspark, py4j = (PathFinder.find_spec(name, folders) for name in ("pyspark", "py4j"))
    package = tuple(f"{folder}/" for folder in pyspark.submodule_search_locations or ()) if pyspark and py4j else ()

    def is_left_out(name: str) -> bool:
        return name.rsplit("/", 1)[-1].startswith("spark-core") or (name.endswith(".zip") and name.startswith(package))

    return [name for name in path if not is_left_out(name)]


def leave_out_archives() -> None:
    """Remove Spark's archives from the search path of this process."""
    path = without_archives(sys.path)
    for name in set(sys.path) - set(path):
        sys.path_importer_cache.pop(name, None)
    sys.path[:] = path
