#!/usr/bin/env python
"""Give every song of songs/, or loose song files, an embedding and genre probabilities by a trained run.

A song that the run has scored before keeps its row. With --songs nothing is written into the warehouse.
"""

import argparse

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.scoring.settings import TABLE, ScoreSettings


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("--run", required=True, metavar="NAME", help="the run of models/NAME")
    add("--rescore", action="store_true", help="score all songs anew")
    add("--without-lyrics", action="store_true", help="take every song as one without lyrics")
    add("--batch", type=int, default=ScoreSettings.batch, help="songs a call of the model")
    add("--threads", type=int, help="TensorFlow's threads in each Python worker; the cores of a task when left out")
    add("--songs", nargs="+", metavar="FILE", help="score these song files (.h5) instead, and print what comes of it")
    add(
        "--nearest", type=int, metavar="K", help="of --songs: nearest songs of embeddings/NAME to print (5; 0 for none)"
    )
    add("--output", metavar="FILE", help="of --songs: write their rows to a Parquet file")
    arguments = parser.parse_args()
    if not arguments.songs and (arguments.output or arguments.nearest is not None):
        raise UserError("--output and --nearest are of loose song files; name them with --songs")
    if arguments.nearest is not None and arguments.nearest < 0:
        raise UserError(f"--nearest is at least 0, not {arguments.nearest}")
    return arguments


def score_loose(arguments: argparse.Namespace) -> None:
    """Score song files; print what the model says of them, and the nearest songs where there are embeddings."""
    from msd_spark.similar.song_file_report import nearest_tables, rejected_table, songs_table, write_loose
    from msd_spark.similar.song_files import embed_song_files

    warehouse = Warehouse(arguments.warehouse)
    found = embed_song_files(warehouse, arguments.run, arguments.songs, without_lyrics=arguments.without_lyrics)
    if found.rejected:
        print(f"{rejected_table(found.rejected)}\n")
    if found.rows is None:
        raise UserError(f"none of {len(arguments.songs)} files gives a song")
    print(songs_table(found.songs))
    if arguments.output:
        write_loose(found.rows, arguments.output)
        print(f"\nwritten: {arguments.output}")
    nearest = 5 if arguments.nearest is None else arguments.nearest
    if not nearest or not warehouse.is_complete("songs"):
        return
    if not warehouse.is_complete(TABLE, arguments.run):
        print(f"\nno embeddings/{arguments.run} to find nearest songs in; run jobs/score.py without --songs first")
        return
    for table in nearest_tables(warehouse, arguments.run, found.songs, nearest):
        print(f"\n{table}")


def main() -> None:
    """Run the job with the arguments of the command line."""
    arguments = parse_arguments()
    settings = ScoreSettings(
        arguments.warehouse,
        arguments.run,
        arguments.batch,
        arguments.threads,
        arguments.rescore,
        arguments.without_lyrics,
    )
    if arguments.songs:
        score_loose(arguments)
        return
    from msd_spark.scoring.job import score
    from msd_spark.spark.session import start_spark

    score(start_spark("msd-spark score"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
