#!/usr/bin/env python
"""Place every song of a run in the plane, by t-SNE on a sample; a map that is there is kept and takes in new songs."""

from msd_spark.core.legacy import exit_with, job_parser
from msd_spark.core.warehouse import Warehouse
from msd_spark.maps.job import make_map
from msd_spark.maps.settings import METHODS, Layout, MapSettings


def main() -> None:
    """Run the job with the arguments of the command line."""
    parser = job_parser(__doc__)
    add = parser.add_argument

    def layout(option: str, kind: type, text: str) -> None:
        default = getattr(Layout, option.removeprefix("--"))
        add(option, type=kind, help=f"{text}; left out: as of the map that is there, or {default}")

    add("--run", required=True, metavar="NAME", help="the run of embeddings/NAME")
    add("--method", choices=METHODS, help=f"left out: as of the map that is there, or {Layout.method}")
    layout("--sample", int, "songs that the map is made of")
    layout("--perplexity", float, "about how many neighbours of a song count (t-SNE)")
    layout("--seed", int, "of the sample and the map")
    add("--refit", action="store_true", help="make a new map where there is one")
    add("--block", type=int, default=MapSettings.block, help="songs placed at a time, which bounds the memory")
    add("--threads", type=int, default=MapSettings.threads, help="more help large samples, on cores of one's own")
    settings = MapSettings(**vars(parser.parse_args()))
    make_map(settings).finish(Warehouse(settings.warehouse))


if __name__ == "__main__":
    exit_with(main)
