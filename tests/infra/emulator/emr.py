"""Instance fleets, managed scaling and auto-termination of EMR clusters, kept as they were sent."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any, cast

from moto.core.responses import ActionResult, EmptyResult
from moto.emr.models import Cluster, Ec2InstanceAttributes
from moto.emr.responses import ElasticMapReduceResponse as Emr

run_job_flow_of_moto = Emr.run_job_flow


@dataclass
class ClusterAttributes:
    """Attributes of a cluster that moto does not store."""

    fleets: list[dict[str, Any]] = field(default_factory=list)
    subnets: list[str] = field(default_factory=list)
    scaling: dict[str, Any] | None = None
    termination: dict[str, Any] | None = None


ATTRIBUTES: dict[str, ClusterAttributes] = {}
"""By cluster."""


def sent(response: Emr) -> dict[str, Any]:
    """Return what the client sent, in the API's own words."""
    body = response.body.decode() if isinstance(response.body, bytes) else response.body
    return dict(json.loads(body or "{}"))


def fleet(specification: dict[str, Any]) -> dict[str, Any]:
    """Return a fleet as it is described, from how it was asked for; it has its capacity at once."""
    on_demand, spot = specification.get("TargetOnDemandCapacity", 0), specification.get("TargetSpotCapacity", 0)
    return {
        "Id": f"if-{uuid.uuid4().hex[:13].upper()}",
        "Name": specification.get("Name", ""),
        "InstanceFleetType": specification["InstanceFleetType"],
        "Status": {"State": "RUNNING", "StateChangeReason": {}, "Timeline": {}},
        "TargetOnDemandCapacity": on_demand,
        "TargetSpotCapacity": spot,
        "ProvisionedOnDemandCapacity": on_demand,
        "ProvisionedSpotCapacity": spot,
        "InstanceTypeSpecifications": [instance_type(one) for one in specification.get("InstanceTypeConfigs", [])],
        "LaunchSpecifications": specification.get("LaunchSpecifications"),
    }


def instance_type(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return a fleet's instance type as it is described, with EMR's defaults."""
    described: dict[str, Any] = {"WeightedCapacity": 1}
    if "BidPrice" not in configuration:
        described["BidPriceAsPercentageOfOnDemandPrice"] = 100.0
    described |= {name: value for name, value in configuration.items() if name != "EbsConfiguration"}
    disks = configuration.get("EbsConfiguration", {}).get("EbsBlockDeviceConfigs", [])
    volumes = [disk["VolumeSpecification"] for disk in disks for _ in range(disk.get("VolumesPerInstance", 1))]
    described["EbsBlockDevices"] = [
        {"VolumeSpecification": volume, "Device": f"/dev/sd{chr(ord('b') + index)}"}
        for index, volume in enumerate(volumes)
    ]
    return described


def run_job_flow(self: Emr) -> ActionResult:
    """Make a cluster as moto does, and keep the rest."""
    body = sent(self)
    result = run_job_flow_of_moto(self)
    cluster = self.backend.describe_cluster(cast(dict[str, Any], result.result)["JobFlowId"])
    instances = body["Instances"]
    subnets = instances.get("Ec2SubnetIds", [])
    ATTRIBUTES[cluster.id] = ClusterAttributes(
        fleets=[fleet(one) for one in instances.get("InstanceFleets", [])],
        subnets=subnets,
        scaling=body.get("ManagedScalingPolicy"),
        termination=body.get("AutoTerminationPolicy"),
    )
    if subnets:
        cluster.ec2_subnet_id = subnets[0]
    described = {
        "instance_collection_type": "INSTANCE_FLEET",
        "scale_down_behavior": body.get("ScaleDownBehavior"),
        "log_encryption_kms_key_id": body.get("LogEncryptionKmsKeyId"),
        "unhealthy_node_replacement": instances.get("UnhealthyNodeReplacement", False),
    }
    for name, value in described.items():
        setattr(cluster, name, value)
    return result


def attributes(response: Emr) -> ClusterAttributes:
    """Return what is kept of the cluster that a call names."""
    cluster: Cluster = response.backend.describe_cluster(sent(response)["ClusterId"])
    return ATTRIBUTES[cluster.id]


def list_instance_fleets(self: Emr) -> ActionResult:
    """Describe a cluster's fleets."""
    return ActionResult({"InstanceFleets": attributes(self).fleets})


def add_instance_fleet(self: Emr) -> ActionResult:
    """Add a task fleet."""
    added = fleet(sent(self)["InstanceFleet"])
    attributes(self).fleets.append(added)
    return ActionResult({"ClusterId": sent(self)["ClusterId"], "InstanceFleetId": added["Id"]})


def modify_instance_fleet(self: Emr) -> ActionResult:
    """Give a fleet other targets."""
    change = sent(self)["InstanceFleet"]
    for one in attributes(self).fleets:
        if one["Id"] == change["InstanceFleetId"]:
            for market in ("OnDemand", "Spot"):
                target = change.get(f"Target{market}Capacity", one[f"Target{market}Capacity"])
                one[f"Target{market}Capacity"] = one[f"Provisioned{market}Capacity"] = target
    return EmptyResult()


def get_managed_scaling_policy(self: Emr) -> ActionResult:
    """Describe managed scaling's limits, if there are any."""
    policy = attributes(self).scaling
    return ActionResult({"ManagedScalingPolicy": policy} if policy else {})


def put_managed_scaling_policy(self: Emr) -> ActionResult:
    """Set managed scaling's limits."""
    attributes(self).scaling = sent(self)["ManagedScalingPolicy"]
    return EmptyResult()


def remove_managed_scaling_policy(self: Emr) -> ActionResult:
    """Drop managed scaling's limits."""
    attributes(self).scaling = None
    return EmptyResult()


def get_auto_termination_policy(self: Emr) -> ActionResult:
    """Describe after how long an idle cluster ends, if it does."""
    policy = attributes(self).termination
    return ActionResult({"AutoTerminationPolicy": policy} if policy else {})


def put_auto_termination_policy(self: Emr) -> ActionResult:
    """Set after how long an idle cluster ends."""
    attributes(self).termination = sent(self).get("AutoTerminationPolicy")
    return EmptyResult()


def remove_auto_termination_policy(self: Emr) -> ActionResult:
    """Let an idle cluster go on."""
    attributes(self).termination = None
    return EmptyResult()


CALLS = (
    run_job_flow,
    list_instance_fleets,
    add_instance_fleet,
    modify_instance_fleet,
    get_managed_scaling_policy,
    put_managed_scaling_policy,
    remove_managed_scaling_policy,
    get_auto_termination_policy,
    put_auto_termination_policy,
    remove_auto_termination_policy,
)


def install() -> None:
    """Teach moto's EMR these calls."""
    for call in CALLS:
        setattr(Emr, call.__name__, call)
    subnets = property(lambda attributes: ATTRIBUTES[attributes.cluster.id].subnets)
    setattr(Ec2InstanceAttributes, "requested_ec2_subnet_ids", subnets)  # noqa: B010
