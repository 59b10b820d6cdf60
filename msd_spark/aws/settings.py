"""Options of ``msd-spark aws``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import REQUIRED, Settings, above, at_least, nested, option
from msd_spark.pipeline.settings import PipelineOptions
from msd_spark.pipeline.stages import NAMES

ACTIONS = ("run", "status", "logs", "cancel", "cost")

SOURCES = ("bucket", "snapshot", "upload")

OF_THE_STACK = {
    "warehouse": "is the stack's warehouse bucket",
    "ranks": "is the number of GPUs of the workers (variable gpu of Terraform)",
    "spark-submit": "is set from the instance types (variable emr of Terraform)",
}
"""Options of the pipeline that the stack decides."""


@dataclass(frozen=True)
class AwsOptions(Settings):
    """Options of ``msd-spark aws``; those of the pipeline choose the stages and their options."""

    action: str = option(
        REQUIRED,
        "run: check, start or continue a run, and follow it; status: its stages, time and cost so far; logs: the log "
        "of a stage; cancel: stop it and everything it started; cost: estimate its cost",
        metavar="ACTION",
        choices=ACTIONS,
        positional=True,
    )
    source: str = option(
        "bucket",
        "where the data are; bucket: in the data bucket; snapshot: in the public snapshot of the dataset, to be copied "
        "to the bucket; upload: in the local folder --data, to be uploaded",
        choices=SOURCES,
    )
    stack: str | None = option(
        None, "file with the output `stack` of Terraform; by default, Terraform is asked for it", metavar="FILE"
    )
    stage: str | None = option(
        None, "stage whose log is printed; the one that runs or failed by default", choices=NAMES
    )
    songs: int = option(1_000_000, "number of songs to estimate the cost for", metavar="N", check=at_least(1))
    hours: float = option(12.0, "longest time of one stage; training may take twice as long", check=above(0))
    detach: bool = option(False, "start the run and do not follow it")
    poll: float = option(30.0, "seconds between two looks at the run", metavar="SECONDS", check=above(0))
    pipeline: PipelineOptions = nested(PipelineOptions(), without=OF_THE_STACK)
