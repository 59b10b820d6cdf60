#!/usr/bin/env python
"""Write the page reports/RUN/index.html that shows a run."""

from msd_spark.command_line import exit_with, job_parser
from msd_spark.report import ReportSettings, make_report
from msd_spark.warehouse import Warehouse


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--run", required=True, metavar="NAME", help="the run of models/NAME")
    arguments = parser.parse_args()
    make_report(ReportSettings(arguments.warehouse, arguments.run)).finish(Warehouse(arguments.warehouse))


if __name__ == "__main__":
    exit_with(main)
