"""The options of ``msd-spark listen``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import MOST_BATCH, NAME, SEED, Settings, at_least, between, option, warehouse_option
from msd_spark.core.schemas import SPLITS


@dataclass(frozen=True)
class ListenOptions(Settings):
    """Options of ``msd-spark listen``."""

    warehouse: str = warehouse_option()
    run: str | None = option(None, "run to study, models/NAME; the newest by default", metavar="NAME", check=NAME)
    tracks: tuple[str, ...] = option(
        (),
        "study these tracks, of all splits, and compare them with a sample of others: ids, or files with ids, such as "
        "the CSV of a lasso in the report",
        metavar="TRACK",
    )
    name: str | None = option(
        None, "write studies/NAME; by default RUN, or RUN-tracks with --tracks", metavar="NAME", check=NAME
    )
    songs: int = option(2000, "songs of the dataset to sample for filter responses", check=at_least(1))
    top: int = option(8, "songs to list per filter", check=at_least(1))
    split: str = option("test", "split to evaluate occlusion on", choices=SPLITS)
    batch_size: int = option(64, "examples per call of the model", check=between(1, MOST_BATCH))
    seed: int = option(0, "random seed of the sample and the bootstrap", check=SEED)
