"""Placement groups, monitoring and a few answers of EC2 and Auto Scaling that moto gives otherwise than AWS."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from moto.autoscaling.models import AutoScalingBackend, FakeScalingPolicy
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidPermissionNotFoundError
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses import EC2Response as Ec2

PLACEMENT_GROUPS: dict[str, dict[str, Any]] = {}


def create_placement_group(self: Ec2) -> ActionResult:
    """Keep a placement group."""
    name = self._get_param("GroupName")
    specifications = self._get_param("TagSpecifications") or [{}]
    PLACEMENT_GROUPS[name] = {
        "GroupName": name,
        "GroupId": f"pg-{uuid.uuid4().hex[:17]}",
        "GroupArn": f"arn:aws:ec2:{self.region}:{self.current_account}:placement-group/{name}",
        "State": "available",
        "Strategy": self._get_param("Strategy"),
        "Tags": [{"Key": tag["Key"], "Value": tag["Value"]} for tag in specifications[0].get("Tags", [])],
    }
    return ActionResult({"PlacementGroup": PLACEMENT_GROUPS[name]})


def describe_placement_groups(self: Ec2) -> ActionResult:
    """Describe placement groups, or say which is unknown."""
    names = self._get_param("GroupNames", []) or list(PLACEMENT_GROUPS)
    for name in names:
        if name not in PLACEMENT_GROUPS:
            raise EC2ClientError("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    return ActionResult({"PlacementGroups": [PLACEMENT_GROUPS[name] for name in names]})


def delete_placement_group(self: Ec2) -> ActionResult:
    """Forget a placement group."""
    PLACEMENT_GROUPS.pop(self._get_param("GroupName"), None)
    return EmptyResult()


def monitoring(state: str) -> Callable[[Ec2], ActionResult]:
    """Return the call that turns instances' detailed monitoring to `state`."""

    def call(self: Ec2) -> ActionResult:
        identifiers = self._get_param("InstanceIds", [])
        for identifier in identifiers:
            self.ec2_backend.get_instance(identifier).monitoring_state = state
        return ActionResult(
            {"InstanceMonitorings": [{"InstanceId": one, "Monitoring": {"State": state}} for one in identifiers]}
        )

    return call


def revoking(original: Callable[[Ec2], Any]) -> Callable[[Ec2], Any]:
    """Return a revoking call that names a missing rule as AWS does when rules are named by id."""

    def call(self: Ec2) -> Any:
        try:
            return original(self)
        except InvalidPermissionNotFoundError:
            identifiers = self._get_param("SecurityGroupRuleIds", [])
            if not identifiers:
                raise
            raise EC2ClientError("InvalidSecurityGroupRuleId.NotFound", f"{identifiers} does not exist") from None

    return call


init_of_moto = LaunchTemplateVersion.__init__


def launch_template_version(
    self: LaunchTemplateVersion, template: Any, number: int, data: dict[str, Any], description: str
) -> None:
    """Keep the template's own tags out of what it says of instances."""
    if specifications := data.get("TagSpecifications"):
        data["TagSpecifications"] = [one for one in specifications if one["ResourceType"] != "launch-template"]
    init_of_moto(self, template, number, data, description)


KEPT_OF_GROUPS = {
    "DefaultInstanceWarmup": ("default_instance_warmup", int),
    "ServiceLinkedRoleARN": ("service_linked_role_arn", str),
}
"""What moto forgets of Auto Scaling groups: its name in the API, and where moto would have it."""


def keeping(original: Callable[[AutoScalingResponse], Any]) -> Callable[[AutoScalingResponse], Any]:
    """Return a call of Auto Scaling that keeps what moto forgets."""

    def call(self: AutoScalingResponse) -> Any:
        answer = original(self)
        group = self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
        for sent, (attribute, kind) in KEPT_OF_GROUPS.items():
            if (value := self._get_param(sent)) is not None:
                setattr(group, attribute, kind(value))
        return answer

    return call


put_scaling_policy_of_moto = AutoScalingBackend.put_scaling_policy


def put_scaling_policy(self: AutoScalingBackend, *arguments: Any, **named: Any) -> FakeScalingPolicy:
    """Make a policy that is on, as AWS does, without predictive scaling unless requested."""
    policy = put_scaling_policy_of_moto(self, *arguments, **named)
    described = {
        "enabled": True,
        "predictive_scaling_configuration": policy.predictive_scaling_configuration or None,
    }
    for name, value in described.items():
        setattr(policy, name, value)
    return policy


change_groups_of_moto = Ec2._security_grp_instance_attribute_handler


def change_groups(self: Ec2) -> bool:
    """Change an instance's security groups when that is what was asked for.

    moto comes here with every attribute that it does not know, and would leave no group.
    """
    if self._get_param("Groups"):
        return change_groups_of_moto(self)
    behaviour = self._get_param("InstanceInitiatedShutdownBehavior.Value")
    if behaviour is not None:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        instance.instance_initiated_shutdown_behavior = behaviour
    return behaviour is not None


def install() -> None:
    """Teach moto's EC2 and Auto Scaling these calls."""
    for call in (create_placement_group, describe_placement_groups, delete_placement_group):
        setattr(Ec2, call.__name__, call)
    setattr(Ec2, "monitor_instances", monitoring("enabled"))  # noqa: B010
    setattr(Ec2, "unmonitor_instances", monitoring("disabled"))  # noqa: B010
    for name in ("revoke_security_group_ingress", "revoke_security_group_egress"):
        setattr(Ec2, name, revoking(getattr(Ec2, name)))
    # A rule whose other end is a group or a prefix list loses its description.
    described = property(
        lambda rule: next(
            (end["Description"] for end in (rule.ip_range, rule.source_group) if end and end.get("Description")), None
        )
    )
    setattr(SecurityGroupRule, "description", described)  # noqa: B010
    setattr(LaunchTemplateVersion, "__init__", launch_template_version)  # noqa: B010
    setattr(AutoScalingBackend, "put_scaling_policy", put_scaling_policy)  # noqa: B010
    setattr(Ec2, "_security_grp_instance_attribute_handler", change_groups)  # noqa: B010
    for name in ("create_auto_scaling_group", "update_auto_scaling_group"):
        setattr(AutoScalingResponse, name, keeping(getattr(AutoScalingResponse, name)))
