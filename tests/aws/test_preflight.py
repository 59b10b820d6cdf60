"""Each check against an emulated AWS, and the message of each refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from msd_spark.aws import preflight as checks
from msd_spark.aws.clients import client
from msd_spark.aws.execution import RUNNING, Execution
from msd_spark.aws.preflight import Preflight
from msd_spark.aws.sizing import node, read_types
from msd_spark.aws.stack import Stack
from msd_spark.core.errors import UserError
from tests.aws.stacks import stack
from tests.support.data_folders import lay_out
from tests.support.object_store import ObjectStore

TYPES = read_types()
CONTENT: dict[str, Any] = {
    "source": "bucket",
    "before": [{"stage": "ingest"}],
    "gpu": [{"stage": "train"}],
    "after": [],
}


@pytest.fixture(autouse=True)
def credentials(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    client.cache_clear()


@pytest.fixture(scope="module")
def buckets(store: ObjectStore) -> ObjectStore:
    for bucket in ("artefacts-there", "songs-there", "songs-empty"):
        store.create(bucket)
    store.put("artefacts-there", {"code/a.tar.gz": b"x"})
    store.put("songs-there", {"songs/A.tar": b"x", "lastfm/lastfm_tags.db": b"x"})
    return store


def ready(**changes: Any) -> Stack:
    return stack(buckets={"artefacts": "artefacts-there"}, data="s3://songs-there", **changes)


def test_credentials_of_another_account_are_refused() -> None:
    assert checks.check_credentials(stack()).startswith("account 123456789012 as arn:aws:")
    with pytest.raises(UserError, match="are of account 123456789012, the stack is in 000000000000; choose a profile"):
        checks.check_credentials(stack(account="000000000000"))


def test_without_credentials_nothing_else_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    results = Preflight(stack(), TYPES, dict, 1000).run()
    assert [str(one) for one in results] == [
        "failed  credentials      there are no AWS credentials; run aws configure sso or export AWS_PROFILE, and check "
        "by aws sts get-caller-identity"
    ]


def test_a_release_that_was_not_uploaded_is_refused(buckets: ObjectStore) -> None:
    with pytest.raises(UserError, match=r"s3://artefacts-there/environment/a\.tar\.gz is missing; run terraform"):
        checks.check_release(ready())
    with pytest.raises(UserError, match="the stack msd-spark-dev has no release to run; run terraform"):
        checks.check_release(ready(machine=None))


def test_instance_types_that_fit_nothing_are_refused() -> None:
    assert checks.check_types(stack(), TYPES) == "64 slots, executors of 11,776 MB, 4 ranks"
    with pytest.raises(UserError, match=r"c6i\.xlarge has 4 vCPUs and 6,144 MB for YARN.*; m6i\.large is not in"):
        checks.check_types(
            stack(emr__core_instance_types=["c6i.xlarge"], emr__task_instance_types=["m6i.large"]), TYPES
        )
    with pytest.raises(UserError, match=r"m6i\.2xlarge has no GPU; choose a GPU type"):
        checks.check_types(stack(gpu__instance_type="m6i.2xlarge"), TYPES)


def test_types_that_a_zone_does_not_offer_are_refused() -> None:
    assert checks.check_zones(stack(), CONTENT) == "all types are offered in us-east-1a, us-east-1b"
    with pytest.raises(UserError, match=r"g5\.12xlarge: not offered in us-east-1e; choose other types"):
        checks.check_zones(stack(zones=["us-east-1e", "us-east-1a"]), CONTENT)


def test_a_bucket_without_songs_is_refused(buckets: ObjectStore) -> None:
    assert checks.check_data(ready(), "bucket", None) == (
        "s3://songs-there has songs, tags and no lyrics, labels, plays, duplicates"
    )
    with pytest.raises(UserError, match=r"there is no songs/ in s3://songs-empty; use --source upload or"):
        checks.check_data(stack(data="s3://songs-empty"), "bucket", None)


def test_a_folder_without_songs_is_not_uploaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no song files in .*, or give another folder by --data"):
        checks.check_data(stack(), "upload", str(lay_out(tmp_path, "lastfm/")))


def test_a_snapshot_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r"snapshot snap-5178cf30 does not exist in us-east-1, or is not shared; use"):
        checks.check_data(stack(), "snapshot", None)
    ec2 = client("ec2", "us-east-1")
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=500)["VolumeId"]
    name = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert checks.check_data(stack(snapshot__id=name), "snapshot", None) == f"snapshot {name}, 500 GB"
    with pytest.raises(UserError, match=r"has 500 GB, and the volume only 100 GB; set ingest\.volume_gb to 500"):
        checks.check_data(stack(snapshot__id=name, snapshot__volume_gb=100), "snapshot", None)


def test_a_snapshot_is_not_copied_to_a_bucket_that_is_not_read() -> None:
    with pytest.raises(
        UserError, match=r"copies the songs to s3://raw, but the stack reads s3://mine; use --source bucket"
    ):
        checks.check_data(stack(data="s3://mine"), "snapshot", None)


def test_a_type_without_a_price_is_refused() -> None:
    assert checks.check_prices(stack()).endswith(", us-east-1")
    assert checks.check_prices(stack(region="eu-west-1")).endswith("not of eu-west-1: the estimate is rough")
    with pytest.raises(UserError, match=r"infra/prices\.toml has no price of c7i\.4xlarge; add it"):
        checks.check_prices(stack(emr__task_instance_types=["c7i.4xlarge"]))


def test_fleets_have_whole_nodes() -> None:
    one = stack(emr__core_vcpus=12, emr__task_vcpus=0, gpu=None)
    (need,) = checks.needs(one, TYPES, CONTENT)
    assert need.vcpus == 8 + 16  # a primary of 8, and two nodes of 8 for 12


def test_an_image_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match=r"image ami-0123456789abcdef0 is not available in us-east-1; set gpu\.ami_id"):
        checks.check_image(stack())
    image = client("ec2", "us-east-1").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    assert checks.check_image(stack(gpu__ami_id=image)).startswith(image)


def test_a_disk_that_is_too_small_is_refused() -> None:
    assert checks.check_space(stack(), TYPES, 1_000_000) == "3800 GB of local disks for a dataset of up to 30 GB"
    types = TYPES | {"g5.12xlarge": node(48, 196_608, gpus=4, gpu_mb=24_000)}  # without local disks
    with pytest.raises(
        UserError, match=r"gpu\.volume_gb is 120 GB; image and dataset take up to 131 GB: set it to 131"
    ):
        checks.check_space(stack(gpu__volume_gb=120), types, 1_000_000)


def test_every_check_is_reported(buckets: ObjectStore) -> None:
    results = Preflight(ready(), TYPES, lambda: CONTENT, 1_000_000).run()
    assert [one.name for one in results] == [
        *("credentials", "release", "instance types", "prices", "data", "stages", "zones", "quotas", "image", "space")
    ]


def test_what_a_new_run_needs_is_not_checked_while_one_is_running(
    buckets: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own instances use the quotas."""
    running = Execution("arn:x:run", RUNNING, datetime.now(UTC), None, {}, "", "")
    monkeypatch.setattr(checks, "last_execution", lambda stack: running)
    monkeypatch.setattr(checks, "check_release", lambda stack: "there")
    preflight = Preflight(ready(), TYPES, lambda: CONTENT, 1_000_000)
    assert [one.name for one in preflight.run()][-2:] == ["data", "stages"]
    assert preflight.current is running
