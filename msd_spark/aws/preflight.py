"""Checks before a run starts anything that costs money.

Each check returns what it found as text, or raises a `UserError` with the remedy. No check changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from msd_spark.aws.clients import aws_errors, client, error_code
from msd_spark.aws.cost import PRICES, load, price
from msd_spark.aws.execution import RUNNING, Execution, last_execution
from msd_spark.aws.plan import AFTER, BEFORE, GPU, PHASES
from msd_spark.aws.sizing import Node
from msd_spark.aws.stack import APPLY, PACKAGE, Stack, refused_types
from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.options import OptionError

QUOTAS = {
    "L-1216C47A": ("On-Demand", r"[acdhimrtz]\d"),
    "L-34B43A08": ("Spot", r"[acdhimrtz]\d"),
    "L-DB2E81BA": ("On-Demand", r"(g|vt)\d"),
    "L-3819A6DF": ("Spot", r"(g|vt)\d"),
    "L-417A185B": ("On-Demand", r"p[2345]"),
    "L-7212CCBC": ("Spot", r"p[234]"),
    "L-C4BD4855": ("Spot", r"p5"),
}
"""Quota codes of EC2, in running vCPUs, by market and pattern of the instance types.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html
"""

IMAGE_GB = 100
"""Space that the image and the environment take on the disk of a GPU worker."""

SONG_FEATURE_BYTES = 30_000
"""Size of one example in a dataset; 20 GB for 700,000."""


@dataclass(frozen=True)
class Need:
    """vCPUs that a run uses at the same time in one market, for instance types of one family.

    With fewer, but `least` or more, a run only takes longer; None if it needs all.
    """

    market: str
    instance_type: str
    vcpus: int
    least: int | None = None


@dataclass(frozen=True)
class Checked:
    """The result of one check; `problem` is None if it passed."""

    name: str
    result: str
    problem: str | None = None

    def __str__(self) -> str:
        return f"{'failed' if self.problem else 'ok':<8}{self.name:<16} {self.problem or self.result}"


@dataclass
class Preflight:
    """The checks of a run, in order.

    Attributes
    ----------
    make_input : callable
        Returns the input of the state machine, for which the buckets are read.
    n_songs : int
        Number of songs, for the space that they take.
    source : str or None
        Where the songs are, None if no stage reads them.
    local_data : str or None
        The local folder to upload, if the source is one.
    content : dict or None
        The input, once it has been made.
    current : Execution or None
        The last execution, once it has been read. If it is running, nothing is checked that a new run needs.
    """

    stack: Stack
    types: Mapping[str, Node]
    make_input: Callable[[], dict[str, Any]]
    n_songs: int
    source: str | None = "bucket"
    local_data: str | None = None
    content: dict[str, Any] | None = None
    current: Execution | None = None

    def run(self) -> list[Checked]:
        """Run the checks; those that need the input of the machine only if it could be made."""
        stack, types = self.stack, self.types
        credentials = self.checked("credentials", partial(check_credentials, stack))
        if credentials.problem:  # without them, every other check fails too
            return [credentials]
        results = [
            credentials,
            self.checked("release", self.check_release),
            self.checked("instance types", partial(check_types, stack, types)),
            self.checked("prices", partial(check_prices, stack)),
            self.checked("data", partial(check_data, stack, self.source, self.local_data)),
            self.checked("stages", self.check_stages),
        ]
        if self.content is None or (self.current and self.current.status == RUNNING):
            return results
        content = self.content
        checks: dict[str, Callable[[], str]] = {
            "zones": partial(check_zones, stack, content),
            "quotas": partial(check_quotas, stack, types, content),
        }
        if content[GPU]:
            checks["image"] = partial(check_image, stack)
            checks["space"] = partial(check_space, stack, types, self.n_songs)
        return results + [self.checked(name, check) for name, check in checks.items()]

    @staticmethod
    def checked(name: str, check: Callable[[], str]) -> Checked:
        """Run one check."""
        try:
            with aws_errors(name):
                return Checked(name, check())
        except (UserError, OptionError, OSError) as error:
            return Checked(name, "", " ".join(str(error).removeprefix(f"{name}: ").split()))

    def check_release(self) -> str:
        """Check the release, and read the last execution."""
        text = check_release(self.stack)
        self.current = last_execution(self.stack)
        return text

    def check_stages(self) -> str:
        """Make the input of the machine."""
        self.content = self.make_input()
        counts = ", ".join(f"{len(self.content[phase])} {phase}" for phase in PHASES)
        return f"stages by phase: {counts}"


def check_credentials(stack: Stack) -> str:
    """Check that there are credentials of the stack's account."""
    identity = client("sts", stack.region).get_caller_identity()
    if identity["Account"] != stack.account:
        raise UserError(
            f"the credentials are of account {identity['Account']}, the stack is in {stack.account}; "
            "choose a profile of that account by AWS_PROFILE"
        )
    return f"account {identity['Account']} as {identity['Arn']}"


def check_release(stack: Stack) -> str:
    """Check that there is a state machine, and that the files of the release are in the artefacts bucket."""
    machine, _ = stack.machines
    s3, bucket = client("s3", stack.region), stack.buckets["artefacts"]
    size = 0
    for key in (stack.release or {}).values():
        try:
            size += s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error_code(error) not in ("404", "NoSuchKey"):
                raise
            raise UserError(f"s3://{bucket}/{key} is missing; run {PACKAGE}, then {APPLY}") from None
    client("stepfunctions", stack.region).describe_state_machine(stateMachineArn=machine)
    return f"{len(stack.release or {})} files, {size / 1e6:,.0f} MB"


def check_types(stack: Stack, types: Mapping[str, Node]) -> str:
    """Check that executors and ranks fit on the instance types."""
    refused = refused_types(stack, types)
    if refused:
        raise UserError(f"{'; '.join(refused)} (variables emr and gpu of Terraform)")
    sizing = stack.emr.sizing(types)
    ranks = types[stack.gpu.instance_type].gpus * stack.gpu.workers if stack.gpu else 0
    return f"{sizing.slots} slots, executors of {sizing.executor_mb:,} MB, {ranks} ranks"


def check_prices(stack: Stack) -> str:
    """Check that the estimate knows the price of every instance type."""
    prices = load(PRICES)
    names = {*stack.emr.primary_instance_types, *stack.emr.core_instance_types, *stack.emr.task_instance_types}
    names |= {stack.gpu.instance_type} if stack.gpu else set()
    for name in sorted(names | {stack.snapshot.instance_type}):
        price(prices, name)
    region = "" if stack.region == prices["region"] else f", not of {stack.region}: the estimate is rough"
    return f"of {prices['date']}, {prices['region']}{region}"


def check_zones(stack: Stack, content: Mapping[str, Any]) -> str:
    """Check that the instance types are offered in the zones of the subnets."""
    ec2, missing = client("ec2", stack.region), []
    not_offered: dict[str, tuple[str, ...]] = {}
    if content[BEFORE] or content[AFTER]:
        fleets = (stack.emr.primary_instance_types, stack.emr.core_instance_types)
        offered = offered_types(ec2, stack.zones, {name for fleet in fleets for name in fleet})
        for fleet in fleets:
            if not any(set(fleet) & offered[zone] for zone in stack.zones):
                not_offered[", ".join(fleet)] = stack.zones
    if content[GPU] and stack.gpu:
        zone = stack.zones[0]  # a placement group is in one zone
        if stack.gpu.instance_type not in offered_types(ec2, (zone,), {stack.gpu.instance_type})[zone]:
            not_offered[stack.gpu.instance_type] = (zone,)
    missing = [f"{names}: not offered in {' or '.join(zones)}" for names, zones in not_offered.items()]
    if missing:
        raise UserError(
            f"{'; '.join(missing)}; choose other types (variables emr and gpu of "
            "Terraform), or other zones: GPU workers are in the first subnet (variable network)"
        )
    return f"all types are offered in {', '.join(stack.zones)}"


def offered_types(ec2: Any, zones: tuple[str, ...], names: set[str]) -> dict[str, set[str]]:
    """Return which of the instance types are offered in each zone."""
    offered: dict[str, set[str]] = {zone: set() for zone in zones}
    filters = [{"Name": "instance-type", "Values": sorted(names)}, {"Name": "location", "Values": list(zones)}]
    pages = ec2.get_paginator("describe_instance_type_offerings")
    for page in pages.paginate(LocationType="availability-zone", Filters=filters):
        for one in page["InstanceTypeOfferings"]:
            offered[one["Location"]].add(one["InstanceType"])
    return offered


def needs(stack: Stack, types: Mapping[str, Node], content: Mapping[str, Any]) -> list[Need]:
    """Return the vCPUs that each phase of a run needs."""
    result: list[Need] = []
    if content[BEFORE] or content[AFTER]:
        primary = max(types[name].vcpus for name in stack.emr.primary_instance_types)
        core = max(whole_nodes(types[name].vcpus, stack.emr.core_vcpus) for name in stack.emr.core_instance_types)
        result.append(Need("On-Demand", stack.emr.core_instance_types[0], primary + core))
        if stack.emr.task_vcpus:
            min_task = min(types[name].vcpus for name in stack.emr.task_instance_types)
            result.append(Need("Spot", stack.emr.task_instance_types[0], stack.emr.task_vcpus, min_task))
    if content[GPU] and stack.gpu and stack.gpu.instance_type in types:
        market = "Spot" if stack.gpu.spot else "On-Demand"
        result.append(Need(market, stack.gpu.instance_type, types[stack.gpu.instance_type].vcpus * stack.gpu.workers))
    return result


def whole_nodes(vcpus_of_node: int, vcpus: int) -> int:
    """Return the vCPUs of the nodes that EMR starts for a capacity: a fleet has whole nodes."""
    return -(-vcpus // vcpus_of_node) * vcpus_of_node


def check_quotas(stack: Stack, types: Mapping[str, Node], content: Mapping[str, Any]) -> str:
    """Check that the quotas cover the vCPUs of a run in addition to those in use."""
    quotas, ec2, lines, missing = client("service-quotas", stack.region), client("ec2", stack.region), [], []
    for need in needs(stack, types, content):
        code, pattern = next(
            (code, pattern)
            for code, (market, pattern) in QUOTAS.items()
            if market == need.market and re.match(pattern, need.instance_type)
        )
        quota = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"]
        used = running_vcpus(ec2, pattern, spot=need.market == "Spot")
        lines.append(f"{need.vcpus} of {quota:.0f} vCPUs of {need.market} {need.instance_type}")
        if need.least is not None and used + need.least <= quota < used + need.vcpus:
            lines[-1] += f", {used} in use: fewer task nodes, so that Spark stages take longer (quota {code})"
        elif used + need.vcpus > quota:
            missing.append(
                f"{need.vcpus} vCPUs of {need.market} {need.instance_type} are needed and {used} are in use, the quota "
                f"{code} is {quota:.0f}; ask for more: aws service-quotas request-service-quota-increase "
                f"--service-code ec2 --quota-code {code} --desired-value {used + need.vcpus}"
                + ("" if need.least is None else ", or set emr.task_vcpus = 0 (variable emr of Terraform)")
            )
    if missing:
        raise UserError("; ".join(missing))
    return ", ".join(lines) or "nothing is needed"


def running_vcpus(ec2: Any, pattern: str, *, spot: bool) -> int:
    """Return the vCPUs of running instances whose type matches a pattern."""
    running = 0
    filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    for page in ec2.get_paginator("describe_instances").paginate(Filters=filters):
        for reservation in page["Reservations"]:
            for one in reservation["Instances"]:
                if re.match(pattern, one["InstanceType"]) and (one.get("InstanceLifecycle") == "spot") == spot:
                    cpu = one.get("CpuOptions", {})
                    running += cpu.get("CoreCount", 1) * cpu.get("ThreadsPerCore", 1)
    return running


def check_data(stack: Stack, source: str | None, local_data: str | None) -> str:
    """Check that the songs are where the source says; `source` is None if no stage reads them."""
    if source is None:
        return "no stage reads the songs"
    if source == "snapshot":
        target = f"s3://{stack.buckets['raw']}"
        if stack.data != target:
            raise UserError(
                f"--source snapshot copies the songs to {target}, but the stack reads {stack.data}; use --source "
                "bucket, or apply without data_location"
            )
        return check_snapshot(stack)
    place = local_data if local_data is not None else stack.data
    data = DataFolder.find(place)
    if not data.songs:
        if local_data is not None:
            raise data.missing("song files", "subset", "another folder by --data")
        raise UserError(f"there is no songs/ in {place}; use --source upload or --source snapshot, or copy songs there")
    parts = {
        "lyrics": data.bags_train or data.bags_test,
        "labels": data.labels,
        "tags": data.tags,
        "plays": data.triplets,
        "duplicates": data.duplicates,
    }
    with_parts = ", ".join(name for name, source in parts.items() if source)
    without = ", ".join(name for name, source in parts.items() if not source)
    return f"{place} has songs, {with_parts or 'nothing else'}" + (f" and no {without}" if without else "")


def check_snapshot(stack: Stack) -> str:
    """Check that the snapshot of the dataset exists and can be read."""
    name = stack.snapshot.id
    remedy = "use --source bucket or --source upload, or name a copy of it (variable ingest of Terraform)"
    try:
        (one,) = client("ec2", stack.region).describe_snapshots(SnapshotIds=[name])["Snapshots"]
    except ClientError as error:
        if error_code(error) not in ("InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed"):
            raise
        raise UserError(f"snapshot {name} does not exist in {stack.region}, or is not shared; {remedy}") from None
    if one["State"] != "completed":
        raise UserError(f"snapshot {name} is {one['State']}; {remedy}")
    if one["VolumeSize"] > stack.snapshot.volume_gb:
        size = f"{one['VolumeSize']} GB, and the volume only {stack.snapshot.volume_gb} GB"
        raise UserError(f"snapshot {name} has {size}; set ingest.volume_gb to {one['VolumeSize']}")
    return f"snapshot {name}, {one['VolumeSize']} GB"


def check_image(stack: Stack) -> str:
    """Check that the image of the GPU workers exists."""
    name = stack.gpu.ami_id if stack.gpu else ""
    remedy = "set gpu.ami_id to a current Deep Learning Base GPU AMI of Amazon Linux 2023, and apply"
    try:
        images = client("ec2", stack.region).describe_images(ImageIds=[name], IncludeDeprecated=True)["Images"]
    except ClientError as error:
        if error_code(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable"):
            raise
        images = []
    if not images or images[0]["State"] != "available":
        raise UserError(f"image {name} is not available in {stack.region}; {remedy}")
    return f"{name}, {images[0].get('Name', 'without a name')}"


def check_space(stack: Stack, types: Mapping[str, Node], n_songs: int) -> str:
    """Check that the dataset fits on the disks of a GPU worker."""
    if not stack.gpu:
        return "no GPU workers"
    needed = n_songs * SONG_FEATURE_BYTES / 1e9
    nvme = types[stack.gpu.instance_type].nvme_gb if stack.gpu.instance_type in types else 0
    if nvme:
        if needed > nvme:
            raise UserError(f"a dataset of {n_songs:,} songs takes {needed:.0f} GB, the local disks have {nvme} GB")
        return f"{nvme} GB of local disks for a dataset of up to {needed:.0f} GB"
    needed_gb = int(IMAGE_GB + needed) + 1
    if stack.gpu.volume_gb < needed_gb:
        size = f"{stack.gpu.volume_gb} GB"
        raise UserError(f"gpu.volume_gb is {size}; image and dataset take up to {needed_gb} GB: set it to {needed_gb}")
    return f"{stack.gpu.volume_gb} GB of disk for image and dataset, {needed_gb} GB"
