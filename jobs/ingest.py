#!/usr/bin/env python
"""Parse Million Song Dataset songs, however they are packed, into the tables songs/, rejected/ and ledger/."""

from msd_spark.core.command_line import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.ingest.job import dry_run, ingest
from msd_spark.ingest.settings import SUMMARIES, IngestSettings
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add(
        "--songs",
        nargs="+",
        default=(),
        metavar="LOCATION",
        help="folders, song files, tars, aggregates and globs of them; local, s3://, hdfs://",
    )
    add("--manifest", metavar="FILE", help="a text file with more locations, one a line")
    add(
        "--track-ids",
        metavar="FILE",
        help="look for these tracks (unique_tracks.txt) under --songs instead of listing it",
    )
    add(
        "--summaries",
        choices=SUMMARIES,
        default=IngestSettings.summaries,
        help="summary files have no segments: refuse them, or take their rows",
    )
    add(
        "--inputs-per-unit",
        type=int,
        default=IngestSettings.inputs_per_unit,
        help="loose song files a unit of work, about",
    )
    add("--limit", type=int, metavar="N", help="N songs at most, for a try")
    add("--replace", action="store_true", help="drop songs that came from locations which are not named now")
    add("--dry-run", action="store_true", help="say what would be done, and do nothing")
    arguments = parser.parse_args()
    settings = IngestSettings(
        locations=tuple(arguments.songs),
        warehouse=arguments.warehouse,
        manifest=arguments.manifest,
        track_ids=arguments.track_ids,
        summaries=arguments.summaries,
        inputs_per_unit=arguments.inputs_per_unit,
        limit=arguments.limit,
        replace=arguments.replace,
    )
    session = start_spark("msd-spark ingest")
    if arguments.dry_run:
        print(dry_run(session, settings).table())
    else:
        ingest(session, settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
