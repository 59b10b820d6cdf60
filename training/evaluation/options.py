"""The options of ``msd-spark evaluate``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import MOST_BATCH, NAME, SEED, Settings, between, nested, option, warehouse_option
from msd_spark.core.schemas import SPLITS
from training.data.readers.choice import ReadingSettings


@dataclass(frozen=True)
class EvaluateOptions(Settings):
    """Options of ``msd-spark evaluate``."""

    warehouse: str = warehouse_option()
    run: str | None = option(None, "run to evaluate, models/NAME; the newest by default", metavar="NAME", check=NAME)
    dataset: str | None = option(
        None, "dataset/NAME; the one the run was trained on by default", metavar="NAME", check=NAME
    )
    split: str = option("test", "split to evaluate on", choices=SPLITS)
    batch_size: int = option(256, "examples per call of the model", check=between(1, MOST_BATCH))
    seed: int = option(0, "random seed of the bootstrap", check=SEED)
    reading: ReadingSettings = nested(ReadingSettings())
