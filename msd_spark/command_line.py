"""The edge that every job shares: its arguments, its Spark session, its errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from msd_spark.errors import StageError

DEFAULT_WAREHOUSE = "./warehouse"


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows ``--warehouse``, with the first paragraph of a module's docstring as its text."""
    text = (description or "").strip().split("\n\n")[0]
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--warehouse", default=DEFAULT_WAREHOUSE, metavar="URI", help="folder of the tables")
    return parser


def exit_with(run: Callable[[], None]) -> None:
    """Run a job; an error that it foresaw becomes one line and exit status 2, without a traceback."""
    try:
        run()
    except StageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
