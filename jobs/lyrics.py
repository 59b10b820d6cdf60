#!/usr/bin/env python
"""Read musiXmatch bags of words, train word vectors on them and write the table lyrics/."""

from msd_spark.command_line import exit_with, job_parser
from msd_spark.lyrics import LyricsSettings, make_lyrics
from msd_spark.spark import start_spark
from msd_spark.warehouse import Warehouse


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--train", metavar="FILE", help="the official training file")
    parser.add_argument("--test", metavar="FILE", help="the official test file")
    parser.add_argument("--reverse-mapping", metavar="FILE", help="the official mapping from stems to words")
    parser.add_argument("--seed", type=int, default=LyricsSettings.seed, help="seed of the word vectors' training")
    arguments = parser.parse_args()
    settings = LyricsSettings(
        arguments.warehouse, arguments.train, arguments.test, arguments.reverse_mapping, arguments.seed
    )
    make_lyrics(start_spark("msd-spark lyrics"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
