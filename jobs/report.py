#!/usr/bin/env python
"""Write the page reports/RUN/index.html that shows a run."""

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.report.job import make_report
from msd_spark.report.settings import ReportSettings


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("--run", required=True, metavar="NAME", help="the run of models/NAME")
    add("--heatmaps", type=int, default=ReportSettings.heatmaps, metavar="N", help="songs with chroma and timbre")
    add("--show", nargs="+", default=(), metavar="TRACK_ID", help="songs that have them whatever is drawn")
    add(
        "--most-songs", type=int, default=ReportSettings.most_songs, metavar="N", help="songs on the map; else a sample"
    )
    add("--seed", type=int, default=0, help="of all samples")
    add("--users", type=int, default=ReportSettings.users, metavar="N", help="users with their recommendations")
    given = parser.parse_args()
    settings = ReportSettings(
        given.warehouse, given.run, given.heatmaps, tuple(given.show), given.most_songs, given.seed, given.users
    )
    make_report(settings).finish(Warehouse(given.warehouse))


if __name__ == "__main__":
    exit_with(main)
