"""Options of ``msd-spark aws``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import (
    REQUIRED,
    OptionError,
    Settings,
    above,
    at_least,
    between,
    declared_options,
    nested,
    option,
    value_at,
)
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


OF_ACTIONS = {
    "status": ("stack", "run", "poll"),
    "logs": ("stack", "run", "stage", "poll"),
    "cancel": ("stack", "run", "poll"),
}
"""Options of the actions that do not take those of ``run`` and ``cost``."""


@dataclass(frozen=True)
class AwsOptions(Settings):
    """Options of ``msd-spark aws``; those of the pipeline choose the stages and their options."""

    action: str = option(
        REQUIRED,
        "run: check, start or resume a run, and follow it; status: print stages, time and cost of the last run; logs: "
        "print a stage's log; cancel: stop the run and remove its machines; cost: estimate the cost of a run",
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
        None, "file with the Terraform output `stack` as JSON; by default, read from Terraform's state", metavar="FILE"
    )
    stage: str | None = option(
        None, "stage whose log is printed; by default, the one that failed or started last", choices=NAMES
    )
    songs: int = option(1_000_000, "number of songs to estimate the cost for", metavar="N", check=at_least(1))
    hours: float = option(
        12.0, "longest time of one stage, in hours; training may take twice as long", check=between(0.5, 168)
    )
    detach: bool = option(False, "start the run and do not follow it")
    poll: float = option(30.0, "seconds between two checks of the run's progress", metavar="SECONDS", check=above(0))
    pipeline: PipelineOptions = nested(PipelineOptions(), without=OF_THE_STACK)

    def __post_init__(self) -> None:
        """Check each option, and that it has an effect on the action."""
        super().__post_init__()
        for one in declared_options(AwsOptions):
            allowed = (*OF_ACTIONS.get(self.action, (one.name,)), "action")
            if one.name not in allowed and value_at(self, one.path) != one.default:
                raise OptionError(f"--{one.name} has no effect on aws {self.action}; leave it out")

    @property
    def named_run(self) -> str | None:
        """The run that ``status``, ``logs`` and ``cancel`` are about; None for the last of any name."""
        return None if self.pipeline.run == PipelineOptions.run else self.pipeline.run
