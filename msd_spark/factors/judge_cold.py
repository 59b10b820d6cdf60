"""Judge a run that predicts factors as a recommender of songs that nobody has heard: the test split's."""

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.cold_job import ColdSettings, judge_cold_songs
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.prog = "python -m msd_spark.factors.judge_cold"
    add = parser.add_argument
    add("--run", required=True, metavar="NAME", help="the run, trained with --target factors")
    add("--genre-run", metavar="NAME", help="a run that tells genres; its embeddings/NAME are a baseline")
    add("--users", type=int, default=ColdSettings.users, help="users to judge by, at most")
    add("--seed", type=int, default=ColdSettings.seed)
    arguments = parser.parse_args()
    settings = ColdSettings(arguments.warehouse, arguments.run, arguments.genre_run, arguments.users, arguments.seed)
    judge_cold_songs(start_spark("msd-spark cold songs"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
