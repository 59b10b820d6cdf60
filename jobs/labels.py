#!/usr/bin/env python
"""Read genre label files and write the table labels/."""

from msd_spark.command_line import exit_with, job_parser
from msd_spark.errors import StageError
from msd_spark.labels import STAGE, LabelsSettings, make_labels
from msd_spark.warehouse import Warehouse


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument(
        "--source",
        action="append",
        required=True,
        metavar="NAME=FILE",
        help="a label set and its .cls file, cd1=msd_tagtraum_cd1.cls for example; repeatable",
    )
    arguments = parser.parse_args()
    sources = {}
    for source in arguments.source:
        name, separator, location = source.partition("=")
        if not (name and separator and location):
            raise StageError(STAGE, f"--source takes NAME=FILE, not {source!r}")
        sources[name] = location
    make_labels(LabelsSettings(arguments.warehouse, sources)).finish(Warehouse(arguments.warehouse))


if __name__ == "__main__":
    exit_with(main)
