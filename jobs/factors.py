#!/usr/bin/env python
"""Fit factors of users and tracks to the listens by implicit ALS, judge them by ranking, and recommend tracks."""

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.factors.job import make_factors
from msd_spark.factors.settings import AlsParameters, BaselineSettings, FactorSettings
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    als = parser.add_argument_group("implicit ALS").add_argument
    als("--rank", type=int, default=AlsParameters.rank, help="factors of a user and of a track")
    als("--alpha", type=float, default=AlsParameters.alpha, help="confidence is 1 + alpha log(1 + plays / epsilon)")
    als("--epsilon", type=float, default=AlsParameters.epsilon, help="plays that the logarithm is scaled by")
    als(
        "--regularisation",
        type=float,
        default=AlsParameters.regularisation,
        help="lambda; a user's or track's penalty is this times its listens",
    )
    als("--iterations", type=int, default=AlsParameters.iterations)
    als("--blocks", type=int, default=FactorSettings.blocks, help="blocks of users and of tracks in Spark's ALS")
    als("--search", type=int, default=FactorSettings.search, metavar="TRIALS", help="try settings on validation users")
    add = parser.add_argument
    add("--min-tracks", type=int, default=FactorSettings.min_tracks, help="tracks that a user has at least")
    add("--min-listeners", type=int, default=FactorSettings.min_listeners, help="users that a track has at least")
    add(
        "--held-out",
        type=float,
        default=FactorSettings.held_out,
        metavar="SHARE",
        help="share of the users for validation, and as many for the test; 0 does not judge",
    )
    add("--refit", action="store_true", help="after judging fit once more, to all users")
    add("--allow-too-few", action="store_true", help="where too few listens are left, write no factors and do not fail")
    add(
        "--cold", metavar="DATASET", help="fit to the train tracks of dataset/DATASET alone; see docs/stages/factors.md"
    )
    add(
        "--recommend",
        type=int,
        default=FactorSettings.recommendations,
        metavar="N",
        help="write N tracks for each user into recommendations/",
    )
    add("--users-per-task", type=int, default=FactorSettings.users_per_task, help="users that a Spark task writes")
    beside = parser.add_argument_group("recommenders beside ALS").add_argument
    beside("--no-item-knn", action="store_true", help="do not judge item-kNN")
    beside("--no-ease", action="store_true", help="do not judge EASE, which takes long beyond 10,000 tracks")
    beside("--neighbours", type=int, default=BaselineSettings.neighbours, help="of each track, in item-kNN")
    beside("--shrinkage", type=float, default=BaselineSettings.shrinkage, help="of item-kNN's cosine")
    beside("--ease-regularisation", type=float, default=BaselineSettings.ease_regularisation, help="EASE's lambda")
    add("--seed", type=int, default=FactorSettings.seed)
    arguments = parser.parse_args()
    settings = FactorSettings(
        warehouse=arguments.warehouse,
        parameters=AlsParameters(
            rank=arguments.rank,
            alpha=arguments.alpha,
            epsilon=arguments.epsilon,
            regularisation=arguments.regularisation,
            iterations=arguments.iterations,
        ),
        min_tracks=arguments.min_tracks,
        min_listeners=arguments.min_listeners,
        held_out=arguments.held_out,
        baselines=BaselineSettings(
            item_knn=not arguments.no_item_knn,
            ease=not arguments.no_ease,
            neighbours=arguments.neighbours,
            shrinkage=arguments.shrinkage,
            ease_regularisation=arguments.ease_regularisation,
        ),
        search=arguments.search,
        refit=arguments.refit,
        cold_dataset=arguments.cold,
        recommendations=arguments.recommend,
        users_per_task=arguments.users_per_task,
        blocks=arguments.blocks,
        allow_too_few=arguments.allow_too_few,
        seed=arguments.seed,
    )
    make_factors(start_spark("msd-spark factors"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
