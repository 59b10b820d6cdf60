"""Estimate what a run costs, and what it has cost so far, from measured rates and stated prices.

Every amount is a range: of clusters with all task nodes and with none, at the lowest and the highest Spot price, at the
measured rates and at half of them, of GPUs that are limited by the input only and of workers that train on their CPUs.
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

HOURS_PER_MONTH = 730

NODE_DISK_GB = 64 + 128
"""Disks of a cluster's node: of the system, and of HDFS and shuffle files (module emr)."""

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


def cluster_usd_per_hour(emr: Spark, types: Mapping[str, Node], prices: Mapping[str, Any]) -> dict[str, Range]:
    """Return the price of a cluster in USD per hour, with all task nodes and with none (``all``, ``core``)."""
    share, spot = 1 + prices["emr_share"], prices["spot_share"]
    disk = NODE_DISK_GB * prices["volume_gb_month"] / HOURS_PER_MONTH

    def fleet(names: tuple[str, ...], vcpus: int, market: Range = (1.0, 1.0)) -> Range:
        nodes = [(math.ceil(vcpus / types[name].vcpus), price(prices, name)) for name in names]
        costs = [[n * (usd * (part + prices["emr_share"]) + disk) for part in market] for n, usd in nodes]
        return min(low for low, _ in costs), max(high for _, high in costs)

    primary = [price(prices, name) * share + disk for name in emr.primary_instance_types]
    cores = fleet(emr.core_instance_types, emr.core_vcpus)
    core = min(primary) + cores[0], max(primary) + cores[1]
    if not emr.task_vcpus:
        return {"all": core, "core": core}
    tasks = fleet(emr.task_instance_types, emr.task_vcpus, (spot[0], spot[1]))
    return {"all": (core[0] + tasks[0], core[1] + tasks[1]), "core": core}


def cluster_line(name: str, minutes: Mapping[str, Range], usd_per_hour: Mapping[str, Range]) -> Line:
    """Return a line whose range covers a cluster with all task nodes and one with none."""
    costs = [one * usd / 60 for nodes in minutes for one, usd in zip(minutes[nodes], usd_per_hour[nodes], strict=True)]
    all_minutes = [one for pair in minutes.values() for one in pair]
    return Line(name, (min(all_minutes), max(all_minutes)), (min(costs), max(costs)))


def slots(emr: Spark, types: Mapping[str, Node]) -> dict[str, float]:
    """Return the tasks that run at the same time with all task nodes and with none (``all``, ``core``)."""
    all_nodes = emr.sizing(types).slots
    core = min(
        math.ceil(emr.core_vcpus / types[name].vcpus) * types[name].executors for name in emr.core_instance_types
    )
    return {"all": float(all_nodes), "core": float(core * EXECUTOR_CORES)}


def stage_minutes(stage: Mapping[str, float], n_songs: int, n_slots: float) -> Range:
    """Return the minutes of a stage with its rate per slot."""
    low, high = (n_songs / (stage["songs_per_second"] * share * n_slots) for share in (1, SLOWER))
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
    cluster, n_slots = cluster_usd_per_hour(stack.emr, types, prices), slots(stack.emr, types)
    for phase in (BEFORE, GPU, AFTER):
        if not content[phase]:
            continue
        if phase == GPU and stack.gpu:
            usd = price(prices, stack.gpu.instance_type) * stack.gpu.workers
            per_hour = (usd * prices["spot_share"][0] if stack.gpu.spot else usd, usd)
            lines.append(Line("start of workers", WORKER_START_MINUTES, times(WORKER_START_MINUTES, per_hour)))
        else:
            lines.append(cluster_line("start of a cluster", {"core": CLUSTER_START_MINUTES}, cluster))
        for one in content[phase]:
            name = one["stage"]
            if phase != GPU:
                by_nodes = {nodes: stage_minutes(rates["stages"][name], n_songs, n) for nodes, n in n_slots.items()}
                lines.append(cluster_line(name, by_nodes, cluster))
                continue
            if name == "train" and stack.gpu:
                minutes = training_minutes(rates, n_songs, epochs, stack.gpu, types)
            else:
                minutes = stage_minutes(rates["stages"][name], n_songs, 1.0)
            lines.append(Line(name, minutes, times(minutes, per_hour)))
    return lines


def copy_usd_per_hour(snapshot: Snapshot, prices: Mapping[str, Any]) -> Range:
    """Return the price of the copying instance with its volume."""
    usd = price(prices, snapshot.instance_type) + snapshot.volume_gb * prices["volume_gb_month"] / HOURS_PER_MONTH
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
        "NAT gateway with its address": ((prices["nat_hour"] + prices["address_hour"]) * HOURS_PER_MONTH,) * 2,
        "key and alarms": (prices["key_and_alarms_month"],) * 2,
        "reading all songs again after 30 days (once)": (0.0, songs * prices["retrieval_gb"]),
    }


def spent(stack: Stack, types: Mapping[str, Node], active: Mapping[str, timedelta], prices: Mapping[str, Any]) -> Range:
    """Return the cost of a run so far in USD; `active` has the times during which its machines existed."""
    cluster = cluster_usd_per_hour(stack.emr, types, prices)
    usd = price(prices, stack.gpu.instance_type) * stack.gpu.workers if stack.gpu else 0.0
    per_hour = {
        "cluster": (cluster["core"][0], cluster["all"][1]),
        "workers": (usd * (prices["spot_share"][0] if stack.gpu and stack.gpu.spot else 1.0), usd),
        "copy": copy_usd_per_hour(stack.snapshot, prices),
    }
    low, high = (
        sum(active[name].total_seconds() / 3600 * one[end] for name, one in per_hour.items()) for end in (0, 1)
    )
    return low, high


def format_range(value: Range, places: int) -> str:
    """Return a range as text."""
    low, high = (f"{one:,.{places}f}" for one in value)
    return low if low == high else f"{low} – {high}"


def table(lines: list[Line], tablefmt: str = "simple") -> str:
    """Return an estimate as a table with its total."""
    rows = [[one.name, format_range(one.minutes, 0), format_range(one.usd, 2)] for one in (*lines, total(lines))]
    return tabulate(rows, headers=["", "minutes", "USD"], tablefmt=tablefmt, disable_numparse=True)
