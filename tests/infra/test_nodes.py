"""Scripts of the nodes, run against the emulator's S3 and EC2 with the real AWS CLI."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.infra.tools import CHECKERS, INFRA, client_environment, run, succeeds
from tools.deployment.archive import write_archive

NODES = INFRA / "nodes"


@pytest.fixture(scope="module")
def clients(emulator: str) -> Callable[[str], Any]:
    def make(service: str) -> Any:
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=emulator, region_name="us-east-1", **credentials)

    return make


@pytest.fixture(scope="module")
def environment(checkers: Path, emulator: str) -> dict[str, str]:
    """A node's environment: the AWS CLI on the path, and the emulator for AWS."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return variables | client_environment(emulator) | {"PATH": f"{checkers}:{os.environ['PATH']}"}


# ---- copying the snapshot ---------------------------------------------------------------------------------------


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Five song files in two folders of the second level, as the dataset has them."""
    folder = tmp_path / "data"
    for index, place in enumerate(["A/A/A", "A/A/B", "A/A/B", "A/B/C", "A/B/D"]):
        path = folder / place / f"TR{index:016d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([index]) * (1000 + index))
    (folder / "A" / "A" / "A" / "README").write_text("no song")
    return folder


@pytest.fixture
def bucket(clients: Callable[[str], Any], request: pytest.FixtureRequest) -> str:
    name = "copy-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    clients("s3").create_bucket(Bucket=name)
    return name


def copy(folder: Path, target: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run(NODES / "copy_snapshot.sh", folder, target, env=environment | {"COPY_JOBS": "2"})


def contents(clients: Callable[[str], Any], bucket: str) -> dict[str, bytes]:
    s3 = clients("s3")
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed}


def test_the_snapshot_becomes_shards_and_a_manifest_through_interruptions(
    songs: Path, bucket: str, environment: dict[str, str], clients: Callable[[str], Any]
) -> None:
    outcome = copy(songs, f"s3://{bucket}/songs", environment)
    assert outcome.returncode == 0, outcome.stderr
    found = contents(clients, bucket)
    shards = {key for key in found if key.endswith(".tar")}
    assert shards == {"songs/A/A.tar", "songs/A/B.tar"}
    held = {}
    for shard in shards:
        with tarfile.open(fileobj=io.BytesIO(found[shard])) as archive:
            for member in archive:
                opened = archive.extractfile(member)
                assert opened is not None
                held[member.name] = opened.read()
    assert held == {path.relative_to(songs).as_posix(): path.read_bytes() for path in songs.rglob("*.h5")}
    manifest = [line.split("\t") for line in found["songs/manifest.tsv"].decode().splitlines()]
    assert manifest == [
        [shard.removeprefix("songs/"), count, str(len(found[shard])), hashlib.sha256(found[shard]).hexdigest()]
        for shard, count in (("songs/A/A.tar", "3"), ("songs/A/B.tar", "2"))
    ]

    # Interrupted before its end, and begun again with files of other times: the same bytes.
    for key in ("songs/manifest.tsv", "songs/copied/A-B.tsv", "songs/A/B.tar"):
        clients("s3").delete_object(Bucket=bucket, Key=key)
    for path in songs.rglob("*.h5"):
        os.utime(path, (1, 1))
    again = copy(songs, f"s3://{bucket}/songs", environment)
    assert "1 shards to copy" in again.stdout
    assert contents(clients, bucket) == found


def test_songs_outside_shards_are_refused_before_anything_is_copied(
    songs: Path, bucket: str, environment: dict[str, str], clients: Callable[[str], Any]
) -> None:
    shutil.copy(songs / "A" / "B" / "C" / "TR0000000000000003.h5", songs / "A" / "stray.h5")
    outcome = copy(songs, f"s3://{bucket}/songs", environment)
    assert outcome.returncode == 1
    assert "6 songs, 1 of them outside" in outcome.stderr
    assert contents(clients, bucket) == {}


def test_a_copy_that_comes_back_different_is_no_copy(
    songs: Path, bucket: str, environment: dict[str, str], clients: Callable[[str], Any], tmp_path: Path
) -> None:
    """An aws that spoils one shard on its way back."""
    spoiling = tmp_path / "spoiling"
    spoiling.mkdir()
    wrapper = spoiling / "aws"
    wrapper.write_text(f'#!/bin/bash\n"{CHECKERS}/aws" "$@"\n[[ "$*" == *A/B.tar\\ - ]] && echo more\nexit 0\n')
    wrapper.chmod(0o755)
    outcome = copy(songs, f"s3://{bucket}/songs", environment | {"PATH": f"{spoiling}:{environment['PATH']}"})
    assert outcome.returncode == 1
    assert "A/B: came back from S3 with another checksum" in outcome.stderr
    assert "3 of 5 songs are copied" in outcome.stderr
    assert "songs/manifest.tsv" not in contents(clients, bucket)


def test_copy_says_how_it_is_called(tmp_path: Path, environment: dict[str, str]) -> None:
    assert "usage" in copy(tmp_path, "somewhere", environment).stderr
    assert "no folder" in copy(tmp_path / "nowhere", "s3://bucket/songs", environment).stderr


# ---- the cluster's primary node ---------------------------------------------------------------------------------


@pytest.mark.parametrize("primary", [True, False])
def test_bootstrap_unpacks_on_the_primary_node_alone(
    primary: bool, bucket: str, environment: dict[str, str], clients: Callable[[str], Any], tmp_path: Path
) -> None:
    python = b"#!/bin/sh\necho Python 3.11 of this environment\n"
    (tmp_path / "python").write_bytes(python)
    (tmp_path / "python").chmod(0o755)
    parts: dict[str, list[tuple[str, Path | bytes | str]]] = {
        "code/code-1.tar.gz": [("jobs/ingest.py", b"print()\n")],
        "environment/environment-1.tar.gz": [("bin/python", tmp_path / "python")],
    }
    for key, members in parts.items():
        write_archive(tmp_path / "part.tar.gz", members)
        clients("s3").upload_file(str(tmp_path / "part.tar.gz"), bucket, key)
    facts, home = tmp_path / "instance.json", tmp_path / "home"
    facts.write_text(json.dumps({"isMaster": primary, "isRunningNameNode": primary}, indent=1))
    told = succeeds(NODES / "emr_bootstrap.sh", bucket, *parts, home, facts, env=environment)
    if primary:
        assert (home / "code" / "jobs" / "ingest.py").read_text() == "print()\n"
        assert "Python 3.11 of this environment" in told
    else:
        assert not home.exists()


# ---- workers ----------------------------------------------------------------------------------------------------


class Workers:
    """Two workers of one group, on this machine, each with a home of its own."""

    def __init__(self, environment: dict[str, str], clients: Callable[[str], Any], bucket: str, folder: Path) -> None:
        ec2, scaling = clients("ec2"), clients("autoscaling")
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.group = f"group-{bucket}"
        template = {"ImageId": "ami-1e749f67", "InstanceType": "g5.12xlarge"}
        ec2.create_launch_template(LaunchTemplateName=self.group, LaunchTemplateData=template)
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=self.group,
            LaunchTemplate={"LaunchTemplateName": self.group, "Version": "$Latest"},
            MinSize=0,
            MaxSize=2,
            DesiredCapacity=2,
            VPCZoneIdentifier=subnet,
        )
        (described,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])["AutoScalingGroups"]
        self.instances = sorted(one["InstanceId"] for one in described["Instances"])
        reservations = ec2.describe_instances(InstanceIds=self.instances)["Reservations"]
        self.addresses = {
            one["InstanceId"]: one["PrivateIpAddress"]
            for reservation in reservations
            for one in reservation["Instances"]
        }
        self.bucket, self.folder, self.environment = bucket, folder, environment

    def home(self, instance: str) -> Path:
        return self.folder / instance

    def run(self, instance: str, command: str) -> None:
        home = self.home(instance)
        home.mkdir(exist_ok=True)
        host_key = home / "ssh_host_ed25519_key"
        if not host_key.exists():
            succeeds("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key)
        variables = {
            "MSD_ARTEFACTS": self.bucket,
            "MSD_GROUP": self.group,
            "MSD_HOME": str(home),
            "MSD_HOSTS": str(home / "hosts"),
            "MSD_HOST_KEY": f"{host_key}.pub",
            "MSD_INSTANCE": instance,
            "MSD_SLOTS": "4",
        }
        succeeds(NODES / "gpu_members.sh", command, env=self.environment | variables)


@pytest.fixture
def workers(environment: dict[str, str], clients: Callable[[str], Any], bucket: str, tmp_path: Path) -> Workers:
    return Workers(environment, clients, bucket, tmp_path)


def test_workers_know_one_another_and_no_private_key_leaves_them(
    workers: Workers, clients: Callable[[str], Any]
) -> None:
    first, second = workers.instances
    workers.run(first, "publish")
    workers.run(first, "sync")
    assert workers.home(first).joinpath("hosts").read_text() == f"{workers.addresses[first]} slots=4\n"
    workers.run(second, "publish")
    for instance in workers.instances:
        workers.run(instance, "sync")
    hosts = [workers.home(instance).joinpath("hosts").read_text() for instance in workers.instances]
    assert hosts[0] == hosts[1]
    assert sorted(hosts[0].splitlines()) == sorted(f"{address} slots=4" for address in workers.addresses.values())
    for instance in workers.instances:
        ssh = workers.home(instance) / ".ssh"
        let_in = (ssh / "authorized_keys").read_text()
        for other in workers.instances:
            key = (workers.home(other) / ".ssh" / "id_ed25519.pub").read_text().rsplit(" ", 1)[0]
            assert key in let_in
        assert (ssh / "authorized_keys").stat().st_mode & 0o777 == 0o600
        assert len((ssh / "known_hosts").read_text().splitlines()) == 2
    shown = contents(clients, workers.bucket)
    assert len(shown) == 2
    assert all(b"PRIVATE" not in text and text.count(b"ssh-ed25519") == 2 for text in shown.values())


def test_what_is_no_key_lets_nobody_in(workers: Workers, clients: Callable[[str], Any]) -> None:
    first, second = workers.instances
    workers.run(first, "publish")
    forged = b'slots 4\nuser command="curl evil" ssh-ed25519 AAAA\nhost ssh-ed25519 AAAA\n'
    clients("s3").put_object(Bucket=workers.bucket, Key=f"workers/{workers.group}/{second}", Body=forged)
    stranger = b"slots 4\nuser ssh-ed25519 AAAA\nhost ssh-ed25519 AAAA\n"
    clients("s3").put_object(Bucket=workers.bucket, Key=f"workers/{workers.group}/i-0123456789abcdef0", Body=stranger)
    workers.run(first, "sync")
    let_in = (workers.home(first) / ".ssh" / "authorized_keys").read_text()
    assert "evil" not in let_in
    assert len(let_in.splitlines()) == 1


def test_a_worker_that_is_gone_is_no_member(workers: Workers, clients: Callable[[str], Any]) -> None:
    first, second = workers.instances
    for instance in workers.instances:
        workers.run(instance, "publish")
    clients("ec2").terminate_instances(InstanceIds=[second])
    workers.run(first, "sync")
    assert workers.addresses[second] not in workers.home(first).joinpath("hosts").read_text()


@pytest.mark.parametrize(
    ("hosts", "words", "expected"),
    [
        ("10.0.0.1 slots=4\n", "-np 4 training/train.py --model cnn", "{launch} -np 4 training/train.py --model cnn"),
        (
            "10.0.0.1 slots=4\n10.0.0.2 slots=4\n",
            "-np 8 training/train.py",
            "{launch} --hostfile {hosts} -np 8 training/train.py",
        ),
        (
            "10.0.0.1 slots=4\n10.0.0.2 slots=4\n",
            "-np 4 -H a:4 training/train.py",
            "{launch} -np 4 -H a:4 training/train.py",
        ),
        ("", "--check-build", "horovodrun --check-build"),
    ],
)
def test_horovodrun_is_told_the_hosts_where_there_are_several(
    hosts: str, words: str, expected: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The command after the wrapper's is one that says what it was told."""
    (tmp_path / "bin").mkdir()
    listed = tmp_path / "hosts"
    programs = {name: f'echo "{name} $*"' for name in ("horovodrun", "python")}
    scripts = {f"bin/{name}": text for name, text in programs.items()} | {"members": f"printf '{hosts}' >{listed}"}
    for name, text in scripts.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    variables = {"MSD_ENVIRONMENT": str(tmp_path), "MSD_HOSTS": str(listed), "MSD_MEMBERS": str(tmp_path / "members")}
    told = succeeds(NODES / "gpu_horovodrun.sh", *words.split(), env=environment | variables)
    assert told.strip() == expected.format(hosts=listed, launch="python -m training.ranks.launch")


# ---- Horovod's wheel --------------------------------------------------------------------------------------------

WHEEL = "horovod-0.28.1-cp311-cp311-linux_x86_64.whl"
KEY = "0123456789abcdef"


@pytest.fixture
def wheel(bucket: str, environment: dict[str, str], tmp_path: Path) -> Callable[[], tuple[str, str]]:
    """Run the script, whose build yields ``own``; return the content of its wheel and its messages."""
    built = tmp_path / "built" / WHEEL
    built.parent.mkdir()
    built.write_text("own")

    def install() -> tuple[str, str]:
        variables = environment | {"MSD_ARTEFACTS": bucket, "MSD_WHEELS": str(tmp_path / "wheels")}
        outcome = run(NODES / "gpu_horovod.sh", KEY, "printf", "%s\\n", "building", built, env=variables)
        path = outcome.stdout.strip()
        return (Path(path).read_text() if path else ""), outcome.stderr

    return install


def put(clients: Callable[[str], Any], bucket: str, key: str, content: str) -> None:
    clients("s3").put_object(Bucket=bucket, Key=key, Body=content.encode())


def approval(content: str) -> str:
    return f"{hashlib.sha256(content.encode()).hexdigest()}  {WHEEL}\n"


def shelf(content: str) -> str:
    """Return the key of a wheel with a content."""
    return f"gpu/horovod/{KEY}/{approval(content).split()[0]}/{WHEEL}"


def test_a_wheel_of_another_worker_is_not_installed_without_its_checksum(
    wheel: Callable[[], tuple[str, str]], bucket: str, clients: Callable[[str], Any]
) -> None:
    put(clients, bucket, shelf("hostile"), "hostile")
    content, messages = wheel()
    assert content == "own"
    assert contents(clients, bucket)[shelf("own")] == b"own"
    assert f"echo '{approval('own').strip()}' | aws s3 cp - s3://{bucket}/wheels/{KEY}.sha256" in messages


def test_a_wheel_with_an_approved_checksum_is_installed(
    wheel: Callable[[], tuple[str, str]], bucket: str, clients: Callable[[str], Any]
) -> None:
    put(clients, bucket, shelf("approved"), "approved")
    put(clients, bucket, f"wheels/{KEY}.sha256", approval("approved"))
    assert wheel() == ("approved", "")


def test_a_wheel_with_another_checksum_is_not_installed_and_not_replaced(
    wheel: Callable[[], tuple[str, str]], bucket: str, clients: Callable[[str], Any]
) -> None:
    put(clients, bucket, shelf("approved"), "hostile")
    put(clients, bucket, f"wheels/{KEY}.sha256", approval("approved"))
    content, messages = wheel()
    assert content == "own"
    assert "has another checksum" in messages
    assert contents(clients, bucket)[shelf("approved")] == b"hostile"


@pytest.mark.parametrize("line", ["", "no checksum", f"{'0' * 64}  ../{WHEEL}", approval("a") + approval("b")])
def test_an_invalid_list_of_checksums_is_an_error(
    line: str, wheel: Callable[[], tuple[str, str]], bucket: str, clients: Callable[[str], Any]
) -> None:
    put(clients, bucket, f"wheels/{KEY}.sha256", line)
    content, messages = wheel()
    assert not content
    assert "expected one line" in messages
