#!/usr/bin/env python
"""Give every song of songs/ its embedding and genre probabilities by a trained run."""

from msd_spark.command_line import exit_with, job_parser
from msd_spark.scoring import ScoreSettings, score
from msd_spark.spark import start_spark
from msd_spark.warehouse import Warehouse


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--run", required=True, metavar="NAME", help="the run of models/NAME")
    parser.add_argument("--batch", type=int, default=ScoreSettings.batch, help="songs a call of the model")
    parser.add_argument(
        "--threads", type=int, default=ScoreSettings.threads, help="TensorFlow's threads in each Python worker"
    )
    arguments = parser.parse_args()
    settings = ScoreSettings(arguments.warehouse, arguments.run, arguments.batch, arguments.threads)
    score(start_spark("msd-spark score"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
