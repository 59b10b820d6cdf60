"""What fits on an instance type: executors on a node of EMR, and ranks on a GPU worker.

``python -m tools.deployment.instance_types`` writes the sizing of every supported type to
``infra/instance_types.json``, which Terraform and `read_types` read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msd_spark.core.errors import UserError

TYPES = Path(__file__).resolve().parents[2] / "infra" / "instance_types.json"
"""Sizing by instance type."""

EXECUTOR_CORES = 4

SLOT_MB = 2560
"""Memory of one task: half of it is Java heap, half is used by Python for Arrow batches, HDF5 images or a model."""

APPLICATION_MASTER_MB = 1024
"""Memory of a Spark application master in client mode, in one of the containers of a core node."""

EXAMPLE_MB = 64
"""GPU memory of one training example: activations, gradients and XLA's copies; assumed, not measured."""

LARGEST_BATCH = 128

DRIVER_MB = 8192
"""Java heap that the driver of ALS needs for a million songs."""


@dataclass(frozen=True)
class Node:
    """Sizing of one instance type.

    Attributes
    ----------
    memory_mb : int
        Memory of the instance, MiB.
    executors, executor_mb : int
        Executors of `EXECUTOR_CORES` cores that fit on a core or task node, and the memory of each, MiB, half of it
        Java heap; 0 if none fits.
    executor_cores : int
        Cores of each executor.
    driver_mb : int
        Java heap of a driver on a primary node of this type, MiB.
    no_executor, no_driver : str
        Why no executor fits, and why the type is too small for a primary node; empty if it is suitable.
    gpus, gpu_mb : int
        Number of GPUs, and the memory of each, MiB.
    nvme_gb : int
        Size of the local disks together, GB.
    batch_size : int
        Training examples per rank and step; 0 without a GPU.
    """

    vcpus: int
    memory_mb: int
    executors: int
    executor_mb: int
    driver_mb: int
    gpus: int = 0
    gpu_mb: int = 0
    nvme_gb: int = 0
    batch_size: int = 0
    executor_cores: int = EXECUTOR_CORES
    no_executor: str = ""
    no_driver: str = ""


def yarn_mb(memory_mb: int) -> int:
    """Return the memory that EMR reserves for YARN on a node, MiB.

    Up to 32 GiB this is three quarters of the memory, and 8 GiB less than the memory above that, as in the tables of
    https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-hadoop-task-config.html for the types of this file.

    Examples
    --------
    >>> yarn_mb(32 * 1024), yarn_mb(64 * 1024)
    (24576, 57344)
    """
    return memory_mb * 3 // 4 if memory_mb <= 32 * 1024 else memory_mb - 8 * 1024


def node(vcpus: int, memory_mb: int, *, gpus: int = 0, gpu_mb: int = 0, nvme_gb: int = 0) -> Node:
    """Return the sizing of an instance type with this hardware.

    An executor has `EXECUTOR_CORES` cores and `SLOT_MB` per core or more: what is left after the application master is
    divided among the executors.

    Examples
    --------
    16 vCPUs and 32 GiB: YARN has 24 GiB, which is enough for two executors, not for four:

    >>> node(16, 32 * 1024).executors
    2
    """
    free = yarn_mb(memory_mb) - APPLICATION_MASTER_MB
    executors = max(0, min(vcpus // EXECUTOR_CORES, free // (EXECUTOR_CORES * SLOT_MB)))
    executor_mb = free // executors // 512 * 512 if executors else 0
    batch = min(LARGEST_BATCH, 1 << (gpu_mb // EXAMPLE_MB).bit_length() - 1) if gpus and gpu_mb >= EXAMPLE_MB else 0
    no_executor = no_driver = ""
    if not executors:
        needs = f"an executor needs {EXECUTOR_CORES} vCPUs and {EXECUTOR_CORES * SLOT_MB + APPLICATION_MASTER_MB:,} MB"
        no_executor = f"has {vcpus} vCPUs and {yarn_mb(memory_mb):,} MB for YARN, {needs}"
    driver_mb = memory_mb // 3
    if driver_mb < DRIVER_MB:
        no_driver = f"has {memory_mb:,} MB, a third of which is the driver's, which needs {DRIVER_MB:,} MB"
    hardware = {"gpus": gpus, "gpu_mb": gpu_mb, "nvme_gb": nvme_gb, "batch_size": batch}
    return Node(
        vcpus, memory_mb, executors, executor_mb, driver_mb, **hardware, no_executor=no_executor, no_driver=no_driver
    )


def why_refused(name: str, types: Mapping[str, Node]) -> str | None:
    """Return why no executor fits on an instance type; None if one fits."""
    return _refusal(name, types, "no_executor")


def why_no_primary(name: str, types: Mapping[str, Node]) -> str | None:
    """Return why an instance type is too small for a primary node; None if it is not."""
    return _refusal(name, types, "no_driver")


def _refusal(name: str, types: Mapping[str, Node], field: str) -> str | None:
    if name not in types:
        return f"{name} is not in infra/instance_types.json: choose a type that is, such as m6i.2xlarge"
    reason = getattr(types[name], field)
    return f"{name} {reason}; choose a larger type" if reason else None


@dataclass(frozen=True)
class Cluster:
    """Sizing of a Spark cluster and of its executors, which are the same on all nodes.

    Attributes
    ----------
    executor_mb : int
        Memory of an executor, MiB: that of the type with the least.
    slots : int
        Tasks that run at the same time, with all nodes of the type that fits fewest.
    """

    executor_mb: int
    slots: int

    @property
    def als_blocks(self) -> int:
        """Blocks of ALS: one per slot, since each is one task, and 10, Spark's default, or more."""
        return max(10, self.slots)


def cluster(types: Mapping[str, Node], names: Iterable[str], vcpus: int) -> Cluster:
    """Return the sizing of a cluster whose nodes have any of the named types and `vcpus` together.

    Raises
    ------
    UserError
        If no executor fits on one of the types.
    """
    names = list(names)
    refused = [reason for name in names if (reason := why_refused(name, types))]
    if refused:
        raise UserError("; ".join(refused))
    nodes = [types[name] for name in names]
    return Cluster(
        min(one.executor_mb for one in nodes),
        min(-(-vcpus // one.vcpus) * one.executors * EXECUTOR_CORES for one in nodes),
    )


def read_types(path: Path = TYPES) -> dict[str, Node]:
    """Return the sizing of every supported instance type."""
    content: dict[str, dict[str, Any]] = json.loads(path.read_text())
    return {name: Node(**facts) for name, facts in content.items()}


def types_file(types: Mapping[str, Node]) -> str:
    """Return the content of ``infra/instance_types.json``."""
    lines = (f'  "{name}": {json.dumps(asdict(one))}' for name, one in sorted(types.items()))
    return "{\n" + ",\n".join(lines) + "\n}\n"
