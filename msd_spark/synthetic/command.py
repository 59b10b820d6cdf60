"""Write a catalogue in the Million Song Dataset's own formats, with a planted signal.

``python -m msd_spark.synthetic.command --songs 2000 --seed 7 --output DIR``; see `msd_spark.synthetic`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from msd_spark.core.legacy import JobParser
from msd_spark.synthetic.run import generate
from msd_spark.synthetic.settings import PACKAGINGS, Summary, SyntheticError, SyntheticSettings

__all__ = ["Summary", "SyntheticError", "SyntheticSettings", "generate", "main"]

_DEFAULT = SyntheticSettings()


def _parser() -> argparse.ArgumentParser:
    parser = JobParser(
        prog="python -m msd_spark.synthetic.command",
        description="Write made-up data in the Million Song Dataset's formats.",
    )
    add = parser.add_argument
    add("--songs", type=int, default=_DEFAULT.songs, help="tracks of the catalogue (%(default)s)")
    add("--seed", type=int, default=_DEFAULT.seed, help="same seed, same bytes (%(default)s)")
    add("--output", type=Path, required=True, metavar="DIR", help="folder to write into")
    add("--overwrite", action="store_true", help="replace what an earlier run left in the folder")
    add(
        "--packaging", action="append", metavar="HOW",
        help=f"{', '.join(PACKAGINGS)}; may be repeated or a comma list (files)",
    )  # fmt: skip
    add("--songs-per-aggregate", type=int, default=_DEFAULT.songs_per_aggregate, metavar="N", help="(%(default)s)")
    add(
        "--lyrics-share", type=float, default=_DEFAULT.lyrics_share, metavar="SHARE",
        help="tracks with a bag of words (%(default)s; 0.24 in the real catalogue)",
    )  # fmt: skip
    add("--users", type=int, metavar="N", help="listeners (twice the songs, at most 100000)")
    add("--broken", type=int, default=_DEFAULT.broken, metavar="N", help="files that are no songs (%(default)s)")
    add("--workers", type=int, metavar="N", help="processes (one a core)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str or None
        Command line; None for the process's own.

    Returns
    -------
    int
        0, or 2 where something was refused or could not be written.
    """
    given = _parser().parse_args(arguments)
    packaging = ",".join(given.packaging or _DEFAULT.packaging)
    try:
        settings = SyntheticSettings(
            songs=given.songs,
            seed=given.seed,
            packaging=tuple(part.strip() for part in packaging.split(",")),
            workers=given.workers,
            lyrics_share=given.lyrics_share,
            users=given.users,
            broken=given.broken,
            songs_per_aggregate=given.songs_per_aggregate,
            overwrite=given.overwrite,
            progress=True,
        )
        summary = generate(settings, given.output)
    except SyntheticError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"synthetic: cannot write: {error}", file=sys.stderr)
        return 2
    print(tabulate(summary.rows(), tablefmt="plain", colalign=("left", "right"), disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
