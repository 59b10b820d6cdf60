"""The stack that Terraform created, as its output ``stack`` describes it."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msd_spark.aws.sizing import TYPES, Cluster, Node, cluster, why_no_primary, why_refused
from msd_spark.core.errors import UserError

INFRA = TYPES.parent
"""Folder of the Terraform configuration."""

CODE = "/opt/msd-spark/code"
"""Folder of the code on every node."""

TERRAFORM = f"terraform -chdir={'infra' if Path.cwd() == INFRA.parent else INFRA}"
APPLY = f"{TERRAFORM} apply"
PACKAGE = f"{TERRAFORM} output commands, and run the command `package`"


@dataclass(frozen=True)
class Spark:
    """The Spark clusters: release of EMR, instance types and capacity in vCPUs."""

    enabled: bool
    release_label: str
    primary_instance_types: tuple[str, ...]
    core_instance_types: tuple[str, ...]
    task_instance_types: tuple[str, ...]
    core_vcpus: int
    task_vcpus: int

    def sizing(self, types: Mapping[str, Node]) -> Cluster:
        """Return the sizing of a cluster with all its nodes."""
        names = self.core_instance_types + (self.task_instance_types if self.task_vcpus else ())
        return cluster(types, names, self.core_vcpus + self.task_vcpus)


@dataclass(frozen=True)
class Workers:
    """The group of GPU workers.

    `workers` is the number of instances during a training; an `elastic` training starts with one of them and continues
    when others join or leave.
    """

    group: str
    instance_type: str
    workers: int
    spot: bool
    elastic: bool
    ami_id: str
    volume_gb: int


@dataclass(frozen=True)
class Snapshot:
    """The snapshot of the dataset, and the instance that copies it."""

    id: str
    volume_gb: int
    instance_type: str


@dataclass(frozen=True)
class Stack:
    """What Terraform created.

    Attributes
    ----------
    name : str
        Prefix of all names, such as ``msd-spark-dev``.
    buckets : mapping
        Bucket by purpose: raw, warehouse, artefacts, logs.
    data, warehouse : str
        Locations of the data folder and of the tables.
    release : mapping or None
        Keys of the code and of the environments in the artefacts bucket; None before ``make package``.
    machine, cleanup : str or None
        ARNs of the state machines.
    zones : tuple of str
        Availability zones of the subnets; GPU workers are in the first.
    """

    name: str
    region: str
    account: str
    buckets: Mapping[str, str]
    data: str
    warehouse: str
    release: Mapping[str, str] | None
    machine: str | None
    cleanup: str | None
    zones: tuple[str, ...]
    emr: Spark
    gpu: Workers | None
    snapshot: Snapshot

    @property
    def machines(self) -> tuple[str, str]:
        """The ARNs of the state machines that run the stages and that clean up."""
        if not (self.machine and self.cleanup):
            raise UserError(f"the stack {self.name} has no release to run; run {PACKAGE}, then {APPLY}")
        return self.machine, self.cleanup


def read_stack(path: str | None) -> Stack:
    """Return the stack, from a file or from Terraform's state.

    Raises
    ------
    UserError
        If there is no stack, or the file does not describe one.
    """
    place = path or "terraform output stack"
    try:
        text = Path(path).read_text() if path else _terraform_output()
        return parse_stack(json.loads(text))
    except OSError as error:
        raise UserError(f"--stack {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{place} is not a description of a stack ({error}); run {APPLY} of this version") from None


def parse_stack(content: Mapping[str, Any]) -> Stack:
    """Return the stack that the output describes."""
    spark: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content["emr"].items()
    }
    parts: dict[str, Any] = {
        "emr": Spark(**spark),
        "gpu": Workers(**content["gpu"]) if content["gpu"] else None,
        "snapshot": Snapshot(**content["snapshot"]),
        "zones": tuple(content["zones"]),
    }
    return Stack(**parts, **{one.name: content[one.name] for one in dataclasses.fields(Stack) if one.name not in parts})


def _terraform_output() -> str:
    if not shutil.which("terraform"):
        raise UserError("terraform is not on the path; install it (docs/aws.md), or name its output by --stack FILE")
    command = ["terraform", f"-chdir={INFRA}", "output", "-no-color", "-json", "stack"]
    outcome = subprocess.run(command, capture_output=True, text=True)
    if outcome.returncode:
        error = re.search(r"Error: ([^\n]+)", outcome.stderr)
        reason = error[1] if error else f"exit status {outcome.returncode}"
        raise UserError(f"there is no stack ({reason}); run {TERRAFORM} init, then {APPLY}")
    return outcome.stdout


def refused_types(stack: Stack, types: Mapping[str, Node]) -> list[str]:
    """Return one message per instance type of the stack that fits no executor or rank."""
    names = stack.emr.core_instance_types + (stack.emr.task_instance_types if stack.emr.task_vcpus else ())
    refused = [reason for name in dict.fromkeys(names) if (reason := why_refused(name, types))]
    primary = dict.fromkeys(stack.emr.primary_instance_types)
    refused += [reason for name in primary if (reason := why_no_primary(name, types))]
    if stack.gpu:
        name = stack.gpu.instance_type
        if name not in types:
            refused.append(f"{name} is not in infra/instance_types.json: choose a GPU type that is, as g5.12xlarge")
        elif not types[name].batch_size:
            refused.append(f"{name} has no GPU; choose a GPU type, such as g5.12xlarge")
    return refused
