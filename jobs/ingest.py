#!/usr/bin/env python
"""Parse Million Song Dataset song files into the tables songs/, rejected/ and ledger/."""

from msd_spark.command_line import exit_with, job_parser
from msd_spark.ingest import IngestSettings, ingest
from msd_spark.spark import start_spark
from msd_spark.warehouse import Warehouse


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument(
        "--songs",
        nargs="+",
        required=True,
        metavar="LOCATION",
        help="folders and files of songs, local or s3://, hdfs://",
    )
    parser.add_argument(
        "--inputs-per-unit", type=int, default=IngestSettings.inputs_per_unit, help="song files a unit of work"
    )
    arguments = parser.parse_args()
    settings = IngestSettings(tuple(arguments.songs), arguments.warehouse, arguments.inputs_per_unit)
    ingest(start_spark("msd-spark ingest"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
