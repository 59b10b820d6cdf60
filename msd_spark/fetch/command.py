"""Download the public files of the Million Song Dataset from where they are published.

``python -m msd_spark.fetch subset lyrics genres --to DIR``; without names it says what there is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import JobParser, exit_with
from msd_spark.fetch.job import FetchSettings, Outcome, fetch
from msd_spark.fetch.sources import GROUPS, SOURCES, Source

ALL = "all"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = JobParser(prog="python -m msd_spark.fetch", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("what", nargs="*", metavar="NAME", help=f"what to fetch: {', '.join([*GROUPS, ALL])}; none lists them")
    add("--to", type=Path, metavar="DIR", help="folder of data; the stages find everything in it")
    add("--mirror", action="append", default=[], metavar="ADDRESS", help="look for the files here first; repeatable")
    add("--check", action="store_true", help="read what is there again, and compare it with its checksum")
    add(
        "--accept",
        action="append",
        default=[],
        metavar="SOURCE",
        help="take the version of today, although another one was seen first; repeatable",
    )
    return parser


def chosen(names: Sequence[str]) -> tuple[Source, ...]:
    """Return the sources of some groups, each once.

    Raises
    ------
    UserError
        When there is no such group.
    """
    unknown = [name for name in names if name not in (*GROUPS, ALL)]
    if unknown:
        raise UserError(f"nothing is called {unknown[0]!r}; there are {', '.join([*GROUPS, ALL])}")
    return tuple(source for source in SOURCES if ALL in names or set(source.groups) & set(names))


def what_there_is() -> str:
    """Return a table of all sources."""
    rows = [
        (", ".join(source.groups), source.name, source.what, source.target, source.mirrors[0]) for source in SOURCES
    ]
    return tabulate(rows, headers=["group", "source", "what", "in the folder", "from"], tablefmt="simple")


def table(outcomes: Sequence[Outcome]) -> str:
    """Return what was done."""
    rows = [
        (
            one.source.name,
            one.how,
            f"{one.entry.count:,} {one.source.contents}",
            f"{sum(seen.size for seen in one.entry.places.values()) / 1e6:,.1f}",
            f"{one.seconds:.1f}",
            one.note,
        )
        for one in outcomes
    ]
    headers = ["fetch", "", "rows", "MB", "seconds", ""]
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)


def main(words: Sequence[str] | None = None) -> None:
    """Fetch what the command line names."""
    arguments = make_parser().parse_args(words)
    if not arguments.what:
        print(what_there_is())
        return
    if arguments.to is None:
        raise UserError("where to? give a folder, --to DIR")
    unknown = set(arguments.accept) - {source.name for source in SOURCES}
    if unknown:
        raise UserError(f"--accept takes a source's name, not {min(unknown)!r}; without names they are listed")
    settings = FetchSettings(
        chosen(arguments.what), arguments.to, tuple(arguments.mirror), frozenset(arguments.accept), arguments.check
    )
    print(f"\n{table(fetch(settings))}")
    print(f"\nthe folder: {arguments.to}; go on with: python -m msd_spark.pipeline.command --data {arguments.to}")


if __name__ == "__main__":
    exit_with(main)
