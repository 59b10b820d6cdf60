"""The module path of processes that Spark starts.

Spark puts zip files and a jar with thousands of classes on it. Modules in a zip file are compiled on every import,
which takes each job a second. A Python worker reads the directories of all archives before every task: 0.1 to 0.3 s.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder


def without_archives(path: Sequence[str]) -> list[str]:
    """Return a module path without jars, and without Spark's zip files if the package ``pyspark`` has the same modules.

    That package has them if it contains the zip files, as after ``pip install pyspark``. A cluster's own Spark may be
    another version.
    """
    spec = PathFinder.find_spec("pyspark", [name for name in path if not name.endswith((".zip", ".jar"))])
    spark = tuple(f"{folder}/" for folder in (spec.submodule_search_locations or ())) if spec else ()
    return [name for name in path if not (name.endswith(".jar") or (name.endswith(".zip") and name.startswith(spark)))]


def leave_out_archives() -> None:
    """Let this process import without Spark's archives."""
    shorter = without_archives(sys.path)
    for name in set(sys.path) - set(shorter):
        sys.path_importer_cache.pop(name, None)
    sys.path[:] = shorter
