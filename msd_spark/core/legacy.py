"""Argument parsing of the verbs that are not converted to `msd_spark.core.options` yet."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError

DEFAULT_WAREHOUSE = "./warehouse"

_describing: ContextVar[bool] = ContextVar("describing", default=False)


class _DescribedError(Exception):
    """Carries a script's parser out of it, instead of its arguments."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__(parser)
        self.parser = parser


class JobParser(argparse.ArgumentParser):
    """A parser that can be asked for itself; see `parser_of`."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, or give the parser to who asked for it."""
        if _describing.get():
            raise _DescribedError(self)
        return super().parse_known_args(args, namespace)


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows ``--warehouse``, with the first paragraph of a module's docstring as its text."""
    text = (description or "").strip().split("\n\n")[0]
    parser = JobParser(description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--warehouse", default=DEFAULT_WAREHOUSE, metavar="URI", help="folder of the tables")
    return parser


def exit_with(run: Callable[[], None]) -> None:
    """Run a job; an error that it foresaw becomes one line and exit status 2, without a traceback."""
    try:
        run()
    except (UserError, OptionError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def parser_of(script: Path) -> argparse.ArgumentParser:
    """Return the parser of a script that makes it by `job_parser`; the script does nothing else.

    Raises
    ------
    StageError
        When the script parses no arguments.
    """
    environ = dict(os.environ)
    token = _describing.set(True)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except _DescribedError as found:
        return found.parser
    finally:
        _describing.reset(token)
        # What a script sets for itself is not meant for who asks.
        os.environ.clear()
        os.environ.update(environ)
    raise UserError(f"{script} takes no arguments")
