"""Estimate what a run costs, and what it has cost so far, from measured rates and stated prices.

Every amount is a range. The low end has all task nodes at the lowest Spot price, the measured rates, and GPUs that are
limited by the input only. The high end has no task node, half the measured rates, and workers that train on their CPUs.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msd_spark.aws.plan import AFTER, BEFORE, GPU
from msd_spark.aws.sizing import EXECUTOR_CORES, TYPES, Node
from msd_spark.aws.stack import Snapshot, Spark, Stack, Workers
from msd_spark.core.errors import UserError

PRICES, RATES = TYPES.with_name("prices.toml"), TYPES.with_name("rates.toml")

Range = tuple[float, float]

CLUSTER_START_MINUTES: Range = (6, 15)
WORKER_START_MINUTES: Range = (6, 30)
"""Until a cluster or a worker is ready; assumed, not measured. The first worker of a release builds Horovod."""

COPY_HOURS: Range = (2, 10)
"""To copy the snapshot; assumed, not measured."""

FEED_ROWS_PER_SECOND = 34_000
"""Examples that one core reads from the dataset (`make bench-training`, feed_rows_per_second)."""

SONG_GB = 280e-6
"""Size of one song file; 280 GB for a million."""

TABLES_GB = 150e-6
"""Size of all tables per song, with the dataset; assumed, not measured."""

SLOWER = 0.5
"""Share of the measured rates at the high end."""


@dataclass(frozen=True)
class Line:
    """One line of an estimate: minutes and USD, low and high."""

    name: str
    minutes: Range
    usd: Range


def load(path: Path) -> dict[str, Any]:
    """Return the content of the prices or of the rates."""
    return tomllib.loads(path.read_text())


def price(prices: Mapping[str, Any], name: str) -> float:
    """Return the price of an instance type, USD per hour; `UserError` if it is not stated."""
    if name not in prices["instances"]:
        raise UserError(f"infra/prices.toml has no price of {name}; add it")
    return float(prices["instances"][name])


def cluster_usd_per_hour(emr: Spark, types: Mapping[str, Node], prices: Mapping[str, Any]) -> Range:
    """Return the price of a cluster: the cheapest with all task nodes, the dearest with none."""

    def fleet(names: tuple[str, ...], vcpus: int, choose: Any) -> float:
        return float(choose(math.ceil(vcpus / types[name].vcpus) * price(prices, name) for name in names))

    share, spot = 1 + prices["emr_share"], prices["spot_share"][0]
    low = min(price(prices, name) for name in emr.primary_instance_types)
    low += fleet(emr.core_instance_types, emr.core_vcpus, min)
    if emr.task_vcpus:
        on_demand = fleet(emr.task_instance_types, emr.task_vcpus, min)
        low += on_demand * (spot + prices["emr_share"]) / share
    high = max(price(prices, name) for name in emr.primary_instance_types)
    high += fleet(emr.core_instance_types, emr.core_vcpus, max)
    return low * share, high * share


def slots(emr: Spark, types: Mapping[str, Node]) -> Range:
    """Return the tasks that run at the same time: with all nodes, and with the core nodes only."""
    all_nodes = emr.sizing(types).slots
    core = min(
        math.ceil(emr.core_vcpus / types[name].vcpus) * types[name].executors for name in emr.core_instance_types
    )
    return float(all_nodes), float(core * EXECUTOR_CORES)


def stage_minutes(stage: Mapping[str, float], n_songs: int, cores: Range) -> Range:
    """Return the minutes of a Spark stage with its rate per core."""
    low, high = (n_songs / (stage["songs_per_second"] * share * n) for share, n in zip((1, SLOWER), cores, strict=True))
    return (stage["seconds"] + low) / 60, (stage["seconds"] / SLOWER + high) / 60


def training_minutes(
    rates: Mapping[str, Any], n_songs: int, epochs: int, gpu: Workers, types: Mapping[str, Node]
) -> Range:
    """Return the minutes of a training: as fast as its input at best, as fast as on CPUs at worst.

    No GPU was measured.
    """
    one = rates["stages"]["train"]
    worker = types[gpu.instance_type]
    fast = n_songs * epochs / (FEED_ROWS_PER_SECOND * worker.gpus * gpu.workers)
    slow = n_songs * epochs / rates["epochs"] / (one["songs_per_second"] * worker.vcpus * gpu.workers)
    return (one["seconds"] + fast) / 60, (one["seconds"] / SLOWER + max(fast, slow)) / 60


def estimate(
    stack: Stack,
    types: Mapping[str, Node],
    content: Mapping[str, Any],
    *,
    n_songs: int,
    epochs: int,
    prices: Mapping[str, Any],
    rates: Mapping[str, Any],
) -> list[Line]:
    """Return the lines of a run's estimate: start of machines, and every stage of the machine's input."""
    lines: list[Line] = []
    if content["source"] == "snapshot":
        minutes = (COPY_HOURS[0] * 60, COPY_HOURS[1] * 60)
        lines.append(Line("copy of the snapshot", minutes, times(minutes, copy_usd_per_hour(stack.snapshot, prices))))
    cluster = cluster_usd_per_hour(stack.emr, types, prices)
    for phase in (BEFORE, GPU, AFTER):
        if not content[phase]:
            continue
        if phase == GPU and stack.gpu:
            usd = price(prices, stack.gpu.instance_type) * stack.gpu.workers
            per_hour = (usd * prices["spot_share"][0] if stack.gpu.spot else usd, usd)
            lines.append(Line("start of workers", WORKER_START_MINUTES, times(WORKER_START_MINUTES, per_hour)))
        else:
            per_hour = cluster
            lines.append(Line("start of a cluster", CLUSTER_START_MINUTES, times(CLUSTER_START_MINUTES, cluster)))
        for one in content[phase]:
            name = one["stage"]
            if name == "train" and stack.gpu:
                minutes = training_minutes(rates, n_songs, epochs, stack.gpu, types)
            elif phase == GPU:
                minutes = stage_minutes(rates["stages"][name], n_songs, (1.0, 1.0))
            else:
                minutes = stage_minutes(rates["stages"][name], n_songs, slots(stack.emr, types))
            lines.append(Line(name, minutes, times(minutes, per_hour)))
    return lines


def copy_usd_per_hour(snapshot: Snapshot, prices: Mapping[str, Any]) -> Range:
    """Return the price of the copying instance with its volume."""
    usd = price(prices, snapshot.instance_type) + snapshot.volume_gb * prices["volume_gb_month"] / 730
    return usd, usd


def times(minutes: Range, usd_per_hour: Range) -> Range:
    """Return USD from minutes and a price, each low and high, in order."""
    low, high = (one * usd / 60 for one, usd in zip(minutes, usd_per_hour, strict=True))
    return min(low, high), max(low, high)


def total(lines: list[Line]) -> Line:
    """Return the sum of an estimate."""
    minutes = sum(one.minutes[0] for one in lines), sum(one.minutes[1] for one in lines)
    return Line("total", minutes, (sum(one.usd[0] for one in lines), sum(one.usd[1] for one in lines)))


def per_month(n_songs: int, prices: Mapping[str, Any]) -> dict[str, Range]:
    """Return what the stack costs per month between runs, USD by item.

    Tables are at most twice their size, because old versions are kept for some days after a run has replaced them.
    """
    songs, tables = n_songs * SONG_GB, n_songs * TABLES_GB
    return {
        "songs": (songs * prices["infrequent_gb_month"], songs * prices["storage_gb_month"]),
        "tables": (tables * prices["storage_gb_month"], 2 * tables * prices["storage_gb_month"]),
        "NAT gateway": (prices["nat_hour"] * 730,) * 2,
        "reading all songs again after 30 days (once)": (0.0, songs * prices["retrieval_gb"]),
    }


def spent(stack: Stack, types: Mapping[str, Node], active: Mapping[str, timedelta], prices: Mapping[str, Any]) -> Range:
    """Return what a run has cost so far, from the times during which it had a cluster and workers."""
    hours = {name: one.total_seconds() / 3600 for name, one in active.items()}
    low, high = sorted(cluster_usd_per_hour(stack.emr, types, prices))
    workers = price(prices, stack.gpu.instance_type) * stack.gpu.workers if stack.gpu else 0.0
    cheap = workers * (prices["spot_share"][0] if stack.gpu and stack.gpu.spot else 1.0)
    return (
        hours["cluster"] * low + hours["workers"] * cheap,
        hours["cluster"] * high + hours["workers"] * workers,
    )


def shown(value: Range, places: int) -> str:
    """Return a range as text."""
    low, high = (f"{one:,.{places}f}" for one in value)
    return low if low == high else f"{low} – {high}"


def table(lines: list[Line], tablefmt: str = "simple") -> str:
    """Return an estimate as a table with its total."""
    rows = [[one.name, shown(one.minutes, 0), shown(one.usd, 2)] for one in (*lines, total(lines))]
    return tabulate(rows, headers=["", "minutes", "USD"], tablefmt=tablefmt, disable_numparse=True)
