"""The options of ``msd-spark search``."""

from __future__ import annotations

from dataclasses import dataclass

from msd_spark.core.options import PREFIX, OptionError, Settings, at_least, nested, option
from training.data.targets import TARGETS
from training.evaluation.deciding import LESS_IS_BETTER, LOSS
from training.loop.options import TrainOptions
from training.searching.space import SearchSpace


@dataclass(frozen=True)
class SearchOptions(Settings):
    """Options of ``msd-spark search``; those of every training are `training`."""

    name: str | None = option(
        None, "write searches/NAME; the model and inputs by default", metavar="NAME", check=PREFIX
    )
    trials: int = option(20, "total number of trials, including those of earlier calls", check=at_least(1))
    timeout: float | None = option(
        None, "start no new trial after this many seconds", metavar="SECONDS", check=at_least(0)
    )
    metric: str | None = option(
        None,
        "validation metric that selects the best trial, or loss; the target's main metric by default",
        metavar="NAME",
    )
    study: str | None = option(
        None, "local SQLite file of the study; by default in searches/NAME of a local warehouse", metavar="FILE"
    )
    pruning: bool = option(True, "stop trials that are worse than the median of the others at the same epoch")
    space: SearchSpace = nested(SearchSpace())
    training: TrainOptions = nested(
        TrainOptions(),
        without={
            "learning-rate": "use --learning-rates",
            "batch-size": "use --batch-sizes",
            "global-batch-size": "use --batch-sizes",
            "dropout": "use --dropouts",
            "optimizer": "use --optimizers",
            "filters": "use --widths",
            "units": "use --widths",
            "hidden": "use --widths",
            "run": "use --name",
            "resume": "run the same command again to resume",
            "overwrite": "choose another --name",
            "init-from": "use msd-spark train",
            "elastic": "start with a fixed number of ranks",
            "protocol": "use msd-spark train",
            "protocol-rows": "use msd-spark train",
            "protocol-short": "use msd-spark train",
            "protocol-models": "use msd-spark train",
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = (*TARGETS[self.training.target].headline_metrics, LOSS)
        if self.decides not in allowed:
            raise OptionError(
                f"--metric is {self.metric!r}; allowed for --target {self.training.target}: {', '.join(allowed)}"
            )

    @property
    def study_name(self) -> str:
        """Name of the study and its folder."""
        return self.name or f"{self.training.model.name}-{self.training.model.inputs}"

    @property
    def decides(self) -> str:
        """Name of the metric that selects the best trial."""
        return self.metric or TARGETS[self.training.target].main_metrics[0]

    @property
    def label(self) -> str:
        """Name of that metric in tables and plots."""
        return f"validation {self.decides.replace('_', ' ')}"

    @property
    def sign(self) -> int:
        """Sign of the metric in a minimisation: -1 if a higher value is better."""
        return 1 if self.decides in LESS_IS_BETTER else -1
