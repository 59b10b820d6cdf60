"""What is in AWS before anybody makes anything: the dataset's public snapshot, and the deep learning image."""

from __future__ import annotations

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ssm.models import Parameter, ssm_backends

REGION = "us-east-1"
SNAPSHOT = "snap-5178cf30"
"""The Million Song Dataset, as https://aws.amazon.com/datasets listed it."""

GPU_IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
ANY_IMAGE = "ami-1e749f67"
"""One of the images that moto has."""


def install() -> None:
    """Put the snapshot and the image's parameter where the stack's defaults look for them."""
    ec2 = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
    volume = ec2.create_volume(size=500, zone_name=f"{REGION}a")
    snapshot = ec2.create_snapshot(volume.id, "Million Song Dataset")
    del ec2.snapshots[snapshot.id]
    ec2.delete_volume(volume.id)
    snapshot.id = SNAPSHOT
    ec2.snapshots[SNAPSHOT] = snapshot
    parameter = Parameter(  # type: ignore[abstract]
        account_id=DEFAULT_ACCOUNT_ID,
        name=GPU_IMAGE,
        value=ANY_IMAGE,
        parameter_type="String",
        description=None,
        allowed_pattern=None,
        keyid=None,
        last_modified_date=utcnow(),
        version=1,
        data_type="text",
    )
    ssm_backends[DEFAULT_ACCOUNT_ID][REGION]._parameters[GPU_IMAGE] = [parameter]
