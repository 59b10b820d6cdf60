#!/usr/bin/env python
"""Read genre label files and Last.fm's tags and write the tables labels/, tags/ and tag_counts/."""

from msd_spark.core.errors import UserError
from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.summary import Summary
from msd_spark.core.warehouse import Warehouse
from msd_spark.labels.job import STAGE, LabelsSettings, make_labels
from msd_spark.labels.label_sets import LABEL_FILES
from msd_spark.labels.tags import TagsSettings, make_tags
from msd_spark.spark.session import start_spark


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument
    for name, text in LABEL_FILES.items():
        add(f"--{name}", metavar="FILE", help=text)
    add(
        "--source",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a label set by another name and its file, in the same form; repeatable",
    )
    add(
        "--min-examples",
        type=int,
        default=LabelsSettings.min_examples,
        metavar="N",
        help="leave genres of fewer tracks out of a label set, and list them",
    )
    add(
        "--tags",
        nargs="+",
        default=(),
        metavar="LOCATION",
        help="Last.fm's tags: a folder of its JSON files, a .zip of it, or lastfm_tags.db",
    )
    add("--top-tags", type=int, default=TagsSettings.top_tags, metavar="N", help="how many tags the summary lists")
    arguments = parser.parse_args()
    named = [(name, location) for name in LABEL_FILES if (location := getattr(arguments, name))]
    for source in arguments.source:
        name, separator, location = source.partition("=")
        if not (name and separator and location):
            raise UserError(f"--source takes NAME=FILE, not {source!r}")
        named.append((name, location))
    sources = dict(named)
    if len(sources) < len(named):
        raise UserError("two files for one label set; give each a name of its own")
    if not (sources or arguments.tags):
        raise UserError("nothing to read; give label files (--cd1 and others), --tags or both")
    summary = Summary(STAGE)
    if sources:
        make_labels(LabelsSettings(arguments.warehouse, sources, arguments.min_examples), summary)
    if arguments.tags:
        settings = TagsSettings(arguments.warehouse, tuple(arguments.tags), arguments.top_tags)
        make_tags(start_spark("msd-spark labels"), settings, summary)
    summary.finish(Warehouse(arguments.warehouse))


if __name__ == "__main__":
    exit_with(main)
