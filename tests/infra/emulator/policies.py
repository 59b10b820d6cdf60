"""Where moto's S3 and IAM are wrong about the stack's policies and versions; and the tags of budgets."""

from __future__ import annotations

import json
from typing import Any

import xmltodict  # type: ignore[import-untyped]
from moto.budgets.responses import BudgetsResponse
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.s3.exceptions import BucketAccessDeniedError
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.s3.responses import ACTION_MAP, S3Response

is_action_permitted_of_moto = IAMPolicyStatement.is_action_permitted
create_budget_of_moto = BudgetsResponse.create_budget

delete_keys_of_moto = S3Response._bucket_response_delete_keys

TAGS: dict[str, list[dict[str, str]]] = {}
"""Of budgets, by name."""


def is_action_permitted(self: IAMPolicyStatement, *arguments: Any, **named: Any) -> Any:
    """Ignore Deny statements with a condition.

    moto ignores conditions, so "deny requests without TLS" would deny everything. Other tests check these statements
    in the policies themselves.
    """
    if self._statement.get("Effect") == "Deny" and self._statement.get("Condition"):
        return PermissionResult.NEUTRAL
    return is_action_permitted_of_moto(self, *arguments, **named)


def lets_the_log_in(target_bucket: FakeBucket, target_prefix: str) -> bool:
    """Whether a bucket's policy lets S3's access log in, under the prefix that is asked for."""
    policy = (target_bucket.policy or b"").decode()
    return "logging.s3.amazonaws.com" in policy and f"/{target_prefix.split('/')[0]}/*" in policy


def delete_keys(self: S3Response, bucket_name: str, authenticated: bool = True) -> Any:
    """Ask of each key whether it may be deleted, as AWS does; moto asks it of the bucket.

    All keys of a call are refused when one of them is.
    """
    named = xmltodict.parse(self.body, strip_whitespace=False, force_list=("Object",))["Delete"]["Object"]
    try:
        for one in named:
            self.data["Action"] = "DeleteObject"
            self._authenticate_and_authorize_s3_action(bucket_name=bucket_name, key_name=one["Key"])
    except BucketAccessDeniedError:
        return delete_keys_of_moto(self, bucket_name, authenticated=False)
    return delete_keys_of_moto(self, bucket_name)


def create_budget(self: BudgetsResponse) -> str:
    """Make a budget as moto does, and keep its tags."""
    answer, body = create_budget_of_moto(self), json.loads(self.body)
    TAGS[body["Budget"]["BudgetName"]] = body.get("ResourceTags", [])
    return answer


def list_tags_for_resource(self: BudgetsResponse) -> str:
    """Describe a budget's tags."""
    name = json.loads(self.body)["ResourceARN"].split(":budget/")[1]
    return json.dumps({"ResourceTags": TAGS[name]})


def describe_subscribers_for_notification(self: BudgetsResponse) -> str:
    """Describe who hears of a budget's notification."""
    body = json.loads(self.body)
    wanted = {name: value for name, value in body["Notification"].items() if name != "NotificationState"}
    for notification in self.backend.budgets[body["AccountId"]][body["BudgetName"]].notifications:
        if wanted.items() <= notification.details.items():
            return json.dumps({"Subscribers": notification.subscribers})
    return json.dumps({"Subscribers": []})


def install() -> None:
    """Correct moto's IAM and S3, and teach its budgets these calls."""
    setattr(IAMPolicyStatement, "is_action_permitted", is_action_permitted)  # noqa: B010
    # Emptying a bucket disposes of all versions of a key; one that says "deleted" holds nothing.
    setattr(FakeDeleteMarker, "dispose", lambda marker: None)  # noqa: B010
    setattr(S3Response, "_bucket_response_delete_keys", delete_keys)  # noqa: B010
    # AWS knows no right of that name: whoever may list a bucket may ask whether it is there.
    ACTION_MAP["BUCKET"]["HEAD"]["DEFAULT"] = "ListBucket"
    setattr(FakeBucket, "_log_permissions_enabled_policy", staticmethod(lets_the_log_in))  # noqa: B010
    for call in (create_budget, list_tags_for_resource, describe_subscribers_for_notification):
        setattr(BudgetsResponse, call.__name__, call)
