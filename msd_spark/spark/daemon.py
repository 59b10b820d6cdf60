"""The process that Spark forks its Python workers from: ``python -m msd_spark.spark.daemon``.

It is `pyspark.daemon` with a shorter module path, and it imports once what every worker needs.
"""

from __future__ import annotations

import gc

from msd_spark.core.module_path import leave_out_archives


def main() -> None:
    """Fork a worker for each of Spark's requests; it has the modules that this process has imported."""
    leave_out_archives()
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    from pyspark.daemon import manager

    gc.freeze()  # workers collect garbage after every task; what they share is none
    manager()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
