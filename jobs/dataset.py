#!/usr/bin/env python
"""Join songs, lyrics and labels into a dataset of examples, parted by artist."""

from msd_spark.command_line import exit_with, job_parser
from msd_spark.dataset import STAGE, DatasetSettings, make_dataset
from msd_spark.errors import StageError
from msd_spark.example_plan import FileRule
from msd_spark.spark import start_spark
from msd_spark.splits import SplitRule
from msd_spark.warehouse import Warehouse


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    parser.add_argument("--name", default=DatasetSettings.name, help="the dataset is written to dataset/NAME")
    parser.add_argument("--label-set", default=DatasetSettings.label_set, help="which genre labels of labels/")
    parser.add_argument(
        "--min-examples", type=int, default=DatasetSettings.min_examples, help="genres with fewer songs are left out"
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
        "--rows-per-file", type=int, default=FileRule.rows_per_file, help="examples a file, one row group each"
    )
    parser.add_argument(
        "--min-files",
        type=int,
        default=FileRule.min_files,
        help="files a split at least, for as many ranks; small splits get smaller files",
    )
    parser.add_argument("--seed", type=int, default=SplitRule.seed, help="seed of the split and of the examples' order")
    arguments = parser.parse_args()
    try:
        split_rule = SplitRule(tuple(arguments.shares), arguments.seed, arguments.split)
        file_rule = FileRule(arguments.rows_per_file, arguments.min_files, arguments.seed)
    except ValueError as error:
        raise StageError(STAGE, str(error)) from None
    settings = DatasetSettings(
        arguments.warehouse, arguments.name, arguments.label_set, arguments.min_examples, split_rule, file_rule
    )
    make_dataset(start_spark("msd-spark dataset"), settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
