#!/usr/bin/env python
"""Join songs with lyrics, labels, tags and listens into a dataset of examples, parted by artist."""

from msd_spark.catalogue.known_tracks import REQUIREMENTS
from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.schemas import SEGMENT_MODES, Geometry
from msd_spark.core.warehouse import Warehouse
from msd_spark.dataset.balance import RULES, BalanceRule
from msd_spark.dataset.job import make_dataset
from msd_spark.dataset.plan import FileRule
from msd_spark.dataset.settings import DatasetSettings
from msd_spark.dataset.splits import SplitRule
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--name", default=DatasetSettings.name, help="the dataset is written to dataset/NAME")
    parser.add_argument(
        "--require",
        default="",
        metavar="LIST",
        help=f"what a song must have besides segments, of {','.join(REQUIREMENTS)}; the rest is marked where absent",
    )
    parser.add_argument("--label-set", default=DatasetSettings.label_set, help="which genre labels of labels/")
    parser.add_argument(
        "--min-examples", type=int, default=DatasetSettings.min_examples, help="genres with fewer songs are removed"
    )
    parser.add_argument(
        "--tags", type=int, default=DatasetSettings.tags, metavar="N", help="tag columns, for the N most frequent tags"
    )
    parser.add_argument("--factors", action="store_true", help="columns with the factors of the listens")
    parser.add_argument("--most-popular", type=int, metavar="N", help="only the N most played tracks")
    parser.add_argument(
        "--segments", choices=SEGMENT_MODES, default=Geometry.segments, help="which part of a song an example holds"
    )
    parser.add_argument(
        "--split", choices=("artist", "track"), default=SplitRule.by, help="keep an artist's tracks together, or not"
    )
    parser.add_argument(
        "--shares",
        type=float,
        nargs=3,
        default=SplitRule.shares,
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="sizes of the splits",
    )
    parser.add_argument(
        "--split-lists",
        nargs=3,
        metavar=("TRAIN", "VALIDATION", "TEST"),
        help="files of track ids or song ids, a line each, that say the splits; other tracks are left out",
    )
    parser.add_argument(
        "--balance", default="none", metavar="RULE", help=f"rows of each genre in the train split: {RULES}"
    )
    parser.add_argument(
        "--rows-per-file", type=int, default=FileRule.rows_per_file, help="examples a file, one row group each"
    )
    parser.add_argument(
        "--min-files",
        type=int,
        default=FileRule.min_files,
        help="files a split at least, for as many ranks; small splits get smaller files",
    )
    parser.add_argument(
        "--seed", type=int, default=SplitRule.seed, help="seed of the split, the examples' order and the balance"
    )
    arguments = parser.parse_args()
    try:
        settings = DatasetSettings(
            arguments.warehouse,
            arguments.name,
            arguments.label_set,
            arguments.min_examples,
            SplitRule(tuple(arguments.shares), arguments.seed, arguments.split),
            FileRule(arguments.rows_per_file, arguments.min_files, arguments.seed),
            Geometry(segments=arguments.segments),
            tuple(sorted(set(filter(None, arguments.require.split(","))))),
            BalanceRule.parse(arguments.balance, arguments.seed),
            arguments.tags,
            arguments.factors,
            arguments.most_popular,
            tuple(arguments.split_lists) if arguments.split_lists else None,
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    make_dataset(start_spark("msd-spark dataset"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
