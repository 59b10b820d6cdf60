"""The process from which Spark forks Python workers: ``python -m msd_spark.spark.daemon``.

It is `pyspark.daemon` with a shorter module search path, and imports once what every worker needs.
"""

from __future__ import annotations

import contextlib
import gc

from msd_spark.core.module_path import leave_out_archives


def main() -> None:
    """Fork a worker for each request of Spark, with pandas and pyarrow already imported."""
    leave_out_archives()
    with contextlib.suppress(ImportError):  # the task that needs them reports it
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    from pyspark.daemon import manager

    gc.freeze()  # workers collect garbage after every task, and need not search these modules
    manager()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
