"""What is in AWS before anybody makes anything: the dataset's public snapshot, and the deep learning image."""

from __future__ import annotations

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends

REGION = "us-east-1"
SNAPSHOT = "snap-5178cf30"
"""The Million Song Dataset, as https://aws.amazon.com/datasets listed it."""

GPU_IMAGE = "Deep Learning OSS Nvidia Driver AMI GPU TensorFlow 2.18 (Amazon Linux 2023) 20250424"
ANY_IMAGE = "ami-1e749f67"
"""One of the images that moto has."""


def install() -> None:
    """Put the snapshot and the image where the stack's defaults look for them."""
    ec2 = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
    volume = ec2.create_volume(size=500, zone_name=f"{REGION}a")
    snapshot = ec2.create_snapshot(volume.id, "Million Song Dataset")
    del ec2.snapshots[snapshot.id]
    ec2.delete_volume(volume.id)
    snapshot.id = SNAPSHOT
    ec2.snapshots[SNAPSHOT] = snapshot
    image = ec2.amis[ANY_IMAGE]
    image.name, image.owner_alias, image.owner_id = GPU_IMAGE, "amazon", "137112412989"
