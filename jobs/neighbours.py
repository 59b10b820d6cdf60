#!/usr/bin/env python
"""Find every song's nearest songs in a run's space, and say how good that space is."""

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.neighbours.job import find_neighbours
from msd_spark.neighbours.settings import EXCLUSIONS, METHODS, METRICS, SPACES, NeighbourSettings
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    add("--run", metavar="NAME", help="the run of embeddings/NAME; of factors it is their name under neighbours/")
    add("--space", choices=SPACES, default=NeighbourSettings.space, help="a run's embeddings, or factors/ of listens")
    add("--k", type=int, default=NeighbourSettings.k, help="neighbours of each song")
    add("--metric", choices=METRICS, default=NeighbourSettings.metric, help="the distance")
    add(
        "--method",
        choices=METHODS,
        default=NeighbourSettings.method,
        help="exact, by the index, or exact up to 250,000 songs",
    )
    add(
        "--exclude",
        nargs="+",
        choices=EXCLUSIONS,
        default=(),
        help="songs that are no neighbours: of the same artist; the same song under another track id",
    )
    add("--queries-per-task", type=int, default=NeighbourSettings.queries_per_task, help="songs a Spark task")
    add("--recall", type=float, default=NeighbourSettings.recall, help="what the index is tuned to find")
    add("--label-set", metavar="NAME", help="genres to judge the space by; left out: those of the run's dataset")
    add("--no-quality", action="store_true", help="do not judge the space")
    add("--seed", type=int, default=NeighbourSettings.seed)
    arguments = parser.parse_args()
    if arguments.run is None and arguments.space == NeighbourSettings.space:
        parser.error("--run says whose embeddings")
    settings = NeighbourSettings(
        warehouse=arguments.warehouse,
        run=arguments.run or arguments.space,
        k=arguments.k,
        metric=arguments.metric,
        method=arguments.method,
        exclude=tuple(dict.fromkeys(arguments.exclude)),
        queries_per_task=arguments.queries_per_task,
        recall=arguments.recall,
        label_set=arguments.label_set,
        quality=not arguments.no_quality,
        seed=arguments.seed,
        space=arguments.space,
    )
    find_neighbours(start_spark("msd-spark neighbours"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
