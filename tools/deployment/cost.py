"""What a million songs cost on AWS, ingested and scored, by measured songs/s: ``python -m tools.deployment.cost``.

The rates are those of ``make bench-ingest`` and ``make bench-score``: whole jobs with their tables, on
two cores. A vCPU of the types below is taken for one of those cores. The prices stand here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from tabulate import tabulate

SONGS = 1_000_000
INGESTED_PER_SECOND_AND_VCPU = 250.0
"""Loose files gave 540 songs/s and tar shards 673 on two cores of an AMD EPYC machine; the lower, halved, or less."""

SCORED_PER_SECOND_AND_VCPU = 850.0
"""The CNN gave 1,780 songs/s on two cores, TensorFlow's start left out; 1,700, halved."""

START_MINUTES = 10.0
"""A cluster that is being made costs already."""

PRICES_OF = "November 2026, us-east-1, On-Demand, from memory of the public list: check them before you rely on them"
EMR_SHARE = 0.25
"""EMR's own price, of the instance's."""

PRIMARY = 0.192
"""USD an hour of the primary node, m6i.xlarge."""

WORKER_VCPUS = 16
"""The default core fleet."""


@dataclass(frozen=True)
class InstanceType:
    """An EC2 instance type.

    Attributes
    ----------
    name : str
    vcpus : int
    price : float
        USD an hour, without EMR's share.
    """

    name: str
    vcpus: int
    price: float


TYPES = (
    InstanceType("m6i.2xlarge", 8, 0.384),
    InstanceType("m6a.2xlarge", 8, 0.3456),
    InstanceType("c6i.4xlarge", 16, 0.68),
    InstanceType("r6i.2xlarge", 8, 0.504),
)


@dataclass(frozen=True)
class Estimate:
    """What one type costs.

    Attributes
    ----------
    instances : int
    cluster_per_hour, ingest_minutes, score_minutes, both : float
        USD an hour for the whole cluster; minutes that each job works; USD from the cluster's start to the end of both.
    """

    instances: int
    cluster_per_hour: float
    ingest_minutes: float
    score_minutes: float
    both: float


def estimate(kind: InstanceType, vcpus: int = WORKER_VCPUS, songs: int = SONGS) -> Estimate:
    """Reckon what ingesting and scoring `songs` costs on as many instances of a type as make `vcpus`.

    Examples
    --------
    16 vCPUs ingest 16 x 250 = 4,000 songs a second, so a million take 250 s:

    >>> round(estimate(InstanceType("m6i.2xlarge", 8, 0.384)).ingest_minutes * 60)
    250
    """
    instances = -(-vcpus // kind.vcpus)
    cores = instances * kind.vcpus
    ingested, scored = (
        songs / (rate * cores) / 60 for rate in (INGESTED_PER_SECOND_AND_VCPU, SCORED_PER_SECOND_AND_VCPU)
    )
    per_hour = (instances * kind.price + PRIMARY) * (1 + EMR_SHARE)
    return Estimate(instances, per_hour, ingested, scored, per_hour * (START_MINUTES + ingested + scored) / 60)


def table() -> str:
    """Return the estimates as a table in Markdown."""
    rows = []
    for kind in TYPES:
        reckoned = estimate(kind)
        rows.append(
            (
                f"{reckoned.instances} x {kind.name}",
                f"{reckoned.cluster_per_hour:.2f}",
                f"{reckoned.ingest_minutes:.1f}",
                f"{reckoned.score_minutes:.1f}",
                f"{reckoned.both:.2f}",
            )
        )
    headers = ["core nodes", "cluster, USD/h", "ingest, minutes", "score, minutes", "both with the start, USD"]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    rates = f"ingested at {INGESTED_PER_SECOND_AND_VCPU:g} and scored at {SCORED_PER_SECOND_AND_VCPU:g} songs/s a vCPU"
    print(f"{SONGS:,} songs, {rates}; prices: {PRICES_OF}.\n\n{table()}")
