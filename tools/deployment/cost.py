"""Print the cost tables of docs/aws.md, for the default stack and a million songs.

Run ``python -m tools.deployment.cost``. The rates are measured (``infra/rates.toml``), the prices are stated
(``infra/prices.toml``).
"""

from __future__ import annotations

from tabulate import tabulate

from msd_spark.aws import cost
from msd_spark.aws.plan import AFTER, BEFORE, GPU
from msd_spark.aws.sizing import read_types
from msd_spark.aws.stack import Snapshot, Spark, Stack, Workers
from msd_spark.pipeline.stages import DEFAULT_OPTIONS

SONGS = 1_000_000
EMR = Spark(
    enabled=True,
    release_label="emr-7.13.0",
    primary_instance_types=("m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge"),
    core_instance_types=("m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge"),
    task_instance_types=("m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge", "m5a.2xlarge"),
    core_vcpus=16,
    task_vcpus=48,
)
GPU_WORKERS = Workers("", "g5.12xlarge", workers=1, spot=False, elastic=False, ami_id="", volume_gb=150)
SNAPSHOT = Snapshot("", volume_gb=500, instance_type="m6i.xlarge")
"""The defaults of the variables emr, gpu and ingest of Terraform."""

STAGES = {
    BEFORE: ("ingest", "lyrics", "labels", "plays", "factors", "dataset", "factor-neighbours"),
    GPU: ("train", "listen"),
    AFTER: ("score", "neighbours", "maps", "report"),
}


def tables() -> str:
    """Return the estimate of a run and the monthly cost, as Markdown tables."""
    stack = Stack("", "", "", {}, "", "", None, None, None, (), EMR, GPU_WORKERS, SNAPSHOT)
    content = {"source": "bucket"} | {phase: [{"stage": name} for name in names] for phase, names in STAGES.items()}
    prices, rates = cost.load(cost.PRICES), cost.load(cost.RATES)
    epochs = int(DEFAULT_OPTIONS["train"]["epochs"])
    lines = cost.estimate(stack, read_types(), content, n_songs=SONGS, epochs=epochs, prices=prices, rates=rates)
    months = [[item, cost.format_range(value, 2)] for item, value in cost.per_month(SONGS, prices).items()]
    monthly = tabulate(months, headers=["between runs", "USD per month"], tablefmt="github", disable_numparse=True)
    return f"{cost.table(lines, 'github')}\n\n{monthly}"


if __name__ == "__main__":
    print(tables())
