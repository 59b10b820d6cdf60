"""What ingesting a million songs on AWS costs, by measured songs/s: ``python -m msd_spark.deployment.cost``.

The rate is that of ``make bench-ingest``: the whole job with its tables on two cores. A vCPU of
the types below is taken for one of those cores. The prices stand here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from tabulate import tabulate

SONGS = 1_000_000
SONGS_PER_SECOND_AND_VCPU = 250.0
"""Loose files gave 506 songs/s and tar shards 648 songs/s on two cores of an AMD EPYC machine; the lower, halved."""

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
    cluster_per_hour, minutes, ingest : float
        USD an hour for the whole cluster; minutes that ingest works; USD from the cluster's start to ingest's end.
    """

    instances: int
    cluster_per_hour: float
    minutes: float
    ingest: float


def estimate(kind: InstanceType, vcpus: int = WORKER_VCPUS, songs: int = SONGS) -> Estimate:
    """Reckon what ingesting `songs` costs on as many instances of a type as make `vcpus`.

    Examples
    --------
    16 vCPUs take 16 x 250 = 4,000 songs a second, so a million take 250 s:

    >>> round(estimate(InstanceType("m6i.2xlarge", 8, 0.384)).minutes * 60)
    250
    """
    instances = -(-vcpus // kind.vcpus)
    minutes = songs / (SONGS_PER_SECOND_AND_VCPU * instances * kind.vcpus) / 60
    per_hour = (instances * kind.price + PRIMARY) * (1 + EMR_SHARE)
    return Estimate(instances, per_hour, minutes, per_hour * (START_MINUTES + minutes) / 60)


def table() -> str:
    """Return the estimates as a table in Markdown."""
    rows = []
    for kind in TYPES:
        reckoned = estimate(kind)
        rows.append(
            (
                f"{reckoned.instances} x {kind.name}",
                f"{reckoned.cluster_per_hour:.2f}",
                f"{reckoned.minutes:.1f}",
                f"{reckoned.ingest:.2f}",
            )
        )
    headers = ["core nodes", "cluster, USD/h", "ingest, minutes", "ingest with the start, USD"]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    print(f"{SONGS:,} songs at {SONGS_PER_SECOND_AND_VCPU:g} songs/s a vCPU; prices: {PRICES_OF}.\n\n{table()}")
