#!/usr/bin/env python
"""Read the Taste Profile's triplets and write the tables plays/ and popularity/."""

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.plays.job import PlaysSettings, make_plays
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("--triplets", required=True, metavar="FILE", help="train_triplets.txt, or a .zip or .gz of it")
    add("--mismatches", metavar="FILE", help="sid_mismatches.txt: tracks that were matched to a wrong song")
    add("--keep-mismatches", action="store_true", help="keep the listens of songs whose every track is a mismatch")
    add("--tracks", metavar="FILE", help="unique_tracks.txt, for the tracks of songs; songs/ says them if left out")
    arguments = parser.parse_args()
    settings = PlaysSettings(
        warehouse=arguments.warehouse,
        triplets=arguments.triplets,
        mismatches=arguments.mismatches,
        tracks=arguments.tracks,
        keep_mismatches=arguments.keep_mismatches,
    )
    make_plays(start_spark("msd-spark plays"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
