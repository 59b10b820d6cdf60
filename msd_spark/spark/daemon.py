"""The process that Spark forks its Python workers from: ``python -m msd_spark.spark.daemon``.

It is `pyspark.daemon` with a shorter module path. Spark puts zip files and a jar with thousands of classes on it, and a
worker reads their directories again before every task, which takes 0.1 to 0.3 s.
"""

from __future__ import annotations

import gc
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


def main() -> None:
    """Fork a worker for each of Spark's requests."""
    sys.path[:] = without_archives(sys.path)
    sys.path_importer_cache.clear()
    import pandas  # noqa: F401  # workers need both, and a fork has them already
    import pyarrow  # noqa: F401
    from pyspark.daemon import manager

    gc.freeze()  # workers collect garbage after every task; what they share is none
    manager()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
