"""A stack for tests of ``msd-spark aws``, as the output of Terraform describes one."""

from __future__ import annotations

from typing import Any

from msd_spark.aws.stack import Stack, parse_stack

DESCRIPTION: dict[str, Any] = {
    "name": "msd-spark-dev",
    "region": "us-east-1",
    "account": "123456789012",
    "buckets": {"raw": "raw", "warehouse": "warehouse", "artefacts": "artefacts", "logs": "logs"},
    "data": "s3://raw",
    "warehouse": "s3://warehouse",
    "release": {"code": "code/a.tar.gz", "environment": "environment/a.tar.gz"},
    "machine": "arn:aws:states:us-east-1:123456789012:stateMachine:msd-spark-dev-run",
    "cleanup": "arn:aws:states:us-east-1:123456789012:stateMachine:msd-spark-dev-cleanup",
    "zones": ["us-east-1a", "us-east-1b"],
    "emr": {
        "enabled": True,
        "release_label": "emr-7.13.0",
        "primary_instance_types": ["m6i.2xlarge"],
        "core_instance_types": ["m6i.2xlarge", "m5.2xlarge"],
        "task_instance_types": ["m6i.2xlarge", "r5.2xlarge"],
        "core_vcpus": 16,
        "task_vcpus": 48,
    },
    "gpu": {
        "group": "msd-spark-dev-gpu",
        "instance_type": "g5.12xlarge",
        "workers": 1,
        "spot": False,
        "elastic": False,
        "ami_id": "ami-0123456789abcdef0",
        "volume_gb": 150,
    },
    "snapshot": {"id": "snap-5178cf30", "volume_gb": 500, "instance_type": "m6i.xlarge"},
}


def stack(**changes: Any) -> Stack:
    """Return the stack with other values at the top or, as ``gpu__workers=2``, in one of its parts."""
    content = {name: dict(value) if isinstance(value, dict) else value for name, value in DESCRIPTION.items()}
    for name, value in changes.items():
        part, _, inner = name.partition("__")
        if inner:
            content[part][inner] = value
        else:
            content[part] = value
    return parse_stack(content)
