"""Scripts of the nodes, run against the emulator's S3 and EC2 with the real AWS CLI."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


# ---- nodes of clusters --------------------------------------------------------------------------------------------


def test_bootstrap_unpacks_code_and_environment_once(
    bucket: str, environment: dict[str, str], clients: Callable[[str], Any], tmp_path: Path
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
    home = tmp_path / "home"
    for _ in range(2):  # EMR may repeat it
        output = succeeds(NODES / "emr_bootstrap.sh", bucket, *parts, home, env=environment)
        assert (home / "code" / "jobs" / "ingest.py").read_text() == "print()\n"
        assert "Python 3.11 of this environment" in output
    assert sorted(path.name for path in home.iterdir()) == ["code", "environment"]


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


def test_ready_workers_are_discovered(workers: Workers) -> None:
    first, second = workers.instances
    for instance in workers.instances:
        workers.run(instance, "publish")
    workers.run(first, "sync")
    hosts = {"MSD_ARTEFACTS": "x", "MSD_GROUP": "x", "MSD_HOSTS": str(workers.home(first) / "hosts")}
    discovered = succeeds(NODES / "gpu_discover.sh", env=workers.environment | hosts).splitlines()
    assert sorted(discovered) == sorted(f"{workers.addresses[one]}:4" for one in (first, second))


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
        (
            "10.0.0.1 slots=4\n",
            "-np 8 --min-np 4 --max-np 8 training/train.py --elastic",
            "{launch} --host-discovery-script discover -np 8 --min-np 4 --max-np 8 training/train.py --elastic",
        ),
        (
            "10.0.0.1 slots=4\n",
            "-np 4 --min-np 4 --host-discovery-script own training/train.py",
            "{launch} -np 4 --min-np 4 --host-discovery-script own training/train.py",
        ),
    ],
)
def test_horovodrun_gets_the_hosts_file_if_there_are_several(
    hosts: str, words: str, expected: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The stand-ins for horovodrun and python print their arguments."""
    (tmp_path / "bin").mkdir()
    listed = tmp_path / "hosts"
    programs = {name: f'echo "{name} $*"' for name in ("horovodrun", "python")}
    scripts = {f"bin/{name}": text for name, text in programs.items()} | {"members": f"printf '{hosts}' >{listed}"}
    for name, text in scripts.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    variables = {"MSD_ENVIRONMENT": str(tmp_path), "MSD_HOSTS": str(listed), "MSD_MEMBERS": str(tmp_path / "members")}
    variables |= {"MSD_DISCOVER": "discover"}
    output = succeeds(NODES / "gpu_horovodrun.sh", *words.split(), env=environment | variables)
    assert output.strip() == expected.format(hosts=listed, launch="python -m training.ranks.launch")


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


def test_an_image_without_cuda_is_no_worker(bucket: str, environment: dict[str, str], tmp_path: Path) -> None:
    variables = dict.fromkeys(("MSD_ARTEFACTS", "MSD_LOGS", "MSD_GROUP", "MSD_CODE", "MSD_ENVIRONMENT_KEY"), bucket)
    variables |= {"MSD_CUDA": str(tmp_path / "cuda-12.5"), "MSD_HOME": str(tmp_path)}
    outcome = run(NODES / "gpu_setup.sh", env=stubbed(tmp_path, {"curl": "echo i-1"}, environment) | variables)
    assert outcome.returncode == 2
    assert f"the image has no {tmp_path}/cuda-12.5/bin/nvcc" in outcome.stderr
    assert "choose another image by gpu.ami_name or gpu.ami_id" in outcome.stderr
    assert (tmp_path / "setup-status").read_text() == "2\n"


# ---- local disks ------------------------------------------------------------------------------------------------

DISK = "Amazon EC2 NVMe Instance Storage"


@pytest.mark.parametrize(
    ("disks", "premounted", "expected"),
    [
        ([], False, []),
        (["/dev/nvme1n1"], False, ["mkfs.xfs -q -f -K /dev/nvme1n1", "mount -o noatime /dev/nvme1n1 {folder}"]),
        (
            ["/dev/nvme1n1", "/dev/nvme2n1"],
            False,
            [
                "mdadm --create /dev/md0 --run --level=0 --raid-devices=2 /dev/nvme1n1 /dev/nvme2n1",
                "mkfs.xfs -q -f -K /dev/md0",
                "mount -o noatime /dev/md0 {folder}",
            ],
        ),
        (["/dev/nvme1n1"], True, ["mount --bind /opt/dlami/nvme {folder}"]),
    ],
)
def test_local_disks_are_mounted_as_one(
    disks: list[str], premounted: bool, expected: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    listed = "\n".join(["/dev/nvme0n1 Amazon Elastic Block Store", *(f"{disk} {DISK}" for disk in disks)])
    stubs = {name: f'echo "{name} $*" >>{tmp_path}/calls' for name in ("mkfs.xfs", "mount", "mdadm")}
    stubs |= {"lsblk": f"echo '{listed}'", "mountpoint": f"exit {0 if premounted else 1}"}
    folder = tmp_path / "nvme"
    succeeds(NODES / "gpu_disks.sh", folder, env=stubbed(tmp_path, stubs, environment))
    calls = tmp_path / "calls"
    assert (calls.read_text().splitlines() if calls.exists() else []) == [one.format(folder=folder) for one in expected]


# ---- what a state machine is answered ---------------------------------------------------------------------------


def stubbed(folder: Path, stubs: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    """Return an environment whose path begins with scripts of these names."""
    programs = folder / "stubs"
    programs.mkdir()
    for name, text in stubs.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    return environment | {"PATH": f"{programs}:{environment['PATH']}"}


class StateMachine:
    """Step Functions for task tokens: records each call and refuses it with the error `refused`, if set."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.refused = ""
        machine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                machine.calls.append((self.headers["X-Amz-Target"].split(".")[1], body))
                answer = b"{}"
                if machine.refused:
                    answer = json.dumps({"__type": machine.refused, "message": machine.refused}).encode()
                self.send_response(400 if machine.refused else 200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, call: str) -> list[dict[str, str]]:
        return [body for name, body in self.calls if name == call]

    @property
    def outcome(self) -> tuple[str, dict[str, str]]:
        """The only call that ended the task."""
        (ended,) = [one for one in self.calls if one[0] != "SendTaskHeartbeat"]
        assert ended[1].pop("taskToken") == TOKEN
        return ended


def wait_for(condition: Callable[[], object]) -> None:
    """Wait at most half a minute."""
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("waited for half a minute")


TOKEN = "AAAAKgAAAAIAAAAAAAAAA+token/with=signs"


@pytest.fixture
def machine() -> Iterator[StateMachine]:
    machine = StateMachine()
    yield machine
    machine.server.shutdown()
    machine.server.server_close()


@dataclass
class Head:
    """A worker that is the head: its folder, and gpu_stage.sh on it with sudo, cloud-init and ssh replaced."""

    folder: Path
    environment: dict[str, str]

    def command(self, text: str, workers: int = 1) -> list[str]:
        return [str(NODES / "gpu_stage.sh"), TOKEN, "demo", "train", str(workers), text]

    def run(self, text: str, workers: int = 1, **variables: str) -> subprocess.CompletedProcess[str]:
        return run(*self.command(text, workers), env=self.environment | variables)

    @property
    def log(self) -> str:
        return (self.folder / "logs" / "train.log").read_text()


@pytest.fixture
def head(tmp_path: Path, environment: dict[str, str], bucket: str, machine: StateMachine) -> Head:
    stubs = {
        "sudo": 'exec bash -c "${@: -1}"',  # ours: sudo -H -u msd bash -lc COMMAND
        "cloud-init": "exit 0",
        "ssh": 'echo "ssh $*"; [[ $* != *10.0.0.3* ]]',
        "gpu_members.sh": f"[[ $1 == sync ]] || cat {tmp_path}/discovered",
        "horovodrun": 'echo "horovodrun $* in $PWD"',
    }
    for name in ("code", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "setup-status").write_text("0\n")
    (tmp_path / "discovered").write_text("10.0.0.1:4\n")
    (tmp_path / "conf").write_text(f"MSD_LOGS={bucket}\n")
    variables = {
        "AWS_ENDPOINT_URL_SFN": machine.url,
        "MSD_CONF": str(tmp_path / "conf"),
        "MSD_HOME": str(tmp_path),
        "MSD_LOG_FOLDER": str(tmp_path / "logs"),
        "MSD_BEAT_SECONDS": "0.2",
        "MSD_POLL_SECONDS": "0.1",
    }
    return Head(tmp_path, stubbed(tmp_path, stubs, environment) | variables)


def test_a_stage_runs_in_the_code_and_its_end_is_a_success(
    head: Head, machine: StateMachine, bucket: str, clients: Callable[[str], Any]
) -> None:
    outcome = head.run("horovodrun -np 4 training/train.py --run 'a b' && sleep 8")
    assert outcome.returncode == 0, outcome.stderr
    assert f"horovodrun -np 4 training/train.py --run a b in {head.folder}/code\n" in head.log
    key = f"gpu/demo/train-{socket.gethostname()}.log"
    log = f"s3://{bucket}/{key}"
    ended, words = machine.outcome
    assert (ended, json.loads(words["output"])) == ("SendTaskSuccess", {"stage": "train", "log": log})
    assert len(machine.of("SendTaskHeartbeat")) >= 2
    assert contents(clients, bucket) == {key: head.log.encode()}


@pytest.mark.parametrize(("status", "error"), [(2, "BadInput"), (1, "Stage.Failed")])
def test_a_stage_that_fails_says_why(
    status: int, error: str, head: Head, machine: StateMachine, bucket: str, clients: Callable[[str], Any]
) -> None:
    outcome = head.run(
        f"for i in $(seq 100); do echo line $i; done; printf '1%%\\r99%% █\\n--no model x' >&2; exit {status}"
    )
    assert outcome.returncode == status
    ended, words = machine.outcome
    assert (ended, words["error"]) == ("SendTaskFailure", error)
    assert words["cause"].startswith(f"train, status {status}: line ")
    assert "\n99% \n--no model x" in words["cause"]
    assert "line 1\n" not in words["cause"]
    assert "line 1\n" in contents(clients, bucket)[f"gpu/demo/train-{socket.gethostname()}.log"].decode()


def test_a_signal_ends_the_stage_and_its_processes(head: Head, machine: StateMachine) -> None:
    beginning = head.command(f"echo $$ >{head.folder}/process; sleep 300 & wait")
    process = subprocess.Popen(beginning, env=head.environment, start_new_session=True, stderr=subprocess.DEVNULL)
    number_of = head.folder / "process"
    wait_for(lambda: number_of.exists() and number_of.read_text().strip())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    ended, words = machine.outcome
    assert (ended, words["error"]) == ("SendTaskFailure", "Stage.Failed")
    assert "train: a signal ended it" in words["cause"]
    assert not Path("/proc", number_of.read_text().strip()).exists()


@pytest.mark.parametrize("refusal", ["TaskTimedOut", "ThrottlingException"])
def test_a_stage_that_nobody_waits_for_is_ended(refusal: str, head: Head, machine: StateMachine) -> None:
    machine.refused = refusal
    ended = refusal == "TaskTimedOut"
    outcome = head.run("sleep 300" if ended else "sleep 2", AWS_MAX_ATTEMPTS="1")
    assert outcome.returncode == (143 if ended else 0)
    assert ("the state machine no longer waits for it" in head.log) == ended


def test_a_failed_setup_is_the_outcome(head: Head, machine: StateMachine) -> None:
    (head.folder / "setup-status").write_text("2\n")
    (head.folder / "setup.log").write_text("the image has no CUDA\n")
    assert head.run("horovodrun").returncode == 2
    ended, words = machine.outcome
    assert (ended, words["error"]) == ("SendTaskFailure", "BadInput")
    assert "the image has no CUDA" in words["cause"]
    assert "horovodrun" not in words["cause"]


def test_a_stage_waits_for_workers_that_let_the_head_in(head: Head, machine: StateMachine) -> None:
    (head.folder / "discovered").write_text("10.0.0.1:4\n10.0.0.2:4\n10.0.0.3:4\n")
    assert head.run("horovodrun", workers=3, MSD_WAIT_SECONDS="1").returncode == 1
    assert "train: 2 of 3 workers are ready" in machine.outcome[1]["cause"]
    machine.calls.clear()
    assert head.run("horovodrun", workers=3, MSD_MIN_WORKERS="2").returncode == 0
    assert "2 of 3 workers are ready" in head.log


def test_a_stage_is_a_service_where_there_is_systemd(head: Head, machine: StateMachine) -> None:
    """The stand-in of systemd-run reads $$ as systemd does."""
    stub = head.folder / "stubs" / "systemd-run"
    stub.write_text(
        "#!/bin/bash\n"
        f'echo "$@" >>{head.folder}/units\n'
        'while [[ $1 != -- ]]; do [[ $1 == MSD_UNIT=* ]] && export "$1"; shift; done; shift\n'
        'exec "${@//\\$\\$/\\$}"\n'
    )
    stub.chmod(0o755)
    (head.folder / "stubs" / "systemctl").write_text(f'#!/bin/bash\necho "$@" >>{head.folder}/units\n')
    (head.folder / "stubs" / "systemctl").chmod(0o755)
    assert head.run("horovodrun $PWD", MSD_SYSTEMD=str(head.folder)).returncode == 0
    assert machine.outcome[0] == "SendTaskSuccess"
    assert f"horovodrun {head.folder}/code in" in head.log
    units = (head.folder / "units").read_text().splitlines()
    assert units[0] == "stop msd-stage"
    assert "--unit msd-stage --setenv MSD_UNIT=msd-stage" in units[1]
    assert len(units) == 2


@pytest.mark.parametrize("words", [["demo/..", "train", "1"], ["demo", "../train", "1"], ["demo", "train", "0"]])
def test_a_stage_says_how_it_is_called(words: list[str], environment: dict[str, str]) -> None:
    outcome = run(NODES / "gpu_stage.sh", TOKEN, *words, "true", env=environment)
    assert outcome.returncode == 2
    assert "usage: gpu_stage.sh" in outcome.stderr


@pytest.mark.parametrize("mountable", ["sdf1", "none"])
def test_the_copy_is_answered_for(
    mountable: str,
    songs: Path,
    bucket: str,
    machine: StateMachine,
    environment: dict[str, str],
    clients: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    """The device and its partition are plain files; the stand-in of mount shows the songs."""
    device = tmp_path / "sdf"
    for path in (device, tmp_path / "sdf1"):
        path.touch()
    stubs = {
        "mount": f'[[ $3 == {tmp_path}/{mountable} ]] && ln -s {songs} "$4/data"',
        "mountpoint": "exit 1",
        "shutdown": f'echo "$@" >>{tmp_path}/shutdown',
        "seq": "echo 1",  # tries once
    }
    (tmp_path / "conf").write_text(
        f'MSD_LOGS={bucket}\nMSD_DEVICES="{device} /dev/none"\nMSD_FOLDER=data\nMSD_TARGET=s3://{bucket}/songs\n'
    )
    variables = stubbed(tmp_path, stubs, environment) | {
        "AWS_ENDPOINT_URL_SFN": machine.url,
        "MSD_CONF": str(tmp_path / "conf"),
        "MSD_LOG_FOLDER": str(tmp_path),
        "MSD_MOUNT": str(tmp_path / "mnt"),
        "MSD_POLL_SECONDS": "0.1",
        "MSD_BEAT_SECONDS": "0.2",
        "TMPDIR": str(tmp_path),
    }
    outcome = run(NODES / "ingest_copy.sh", TOKEN, env=variables)
    ended, words = machine.outcome
    found = contents(clients, bucket)
    assert machine.of("SendTaskHeartbeat")
    assert (tmp_path / "shutdown").read_text() == "-c\n-h +10\n"
    if mountable == "none":
        assert outcome.returncode == 2
        assert (ended, words["error"]) == ("SendTaskFailure", "BadInput")
        assert "no file system to mount on" in words["cause"]
    else:
        assert outcome.returncode == 0, outcome.stderr
        assert ended == "SendTaskSuccess"
        assert json.loads(words["output"]) == {"stage": "copy", "log": f"s3://{bucket}/ingest/copy.log"}
        assert b"all 5 songs are in" in found["ingest/copy.log"]
        assert "songs/manifest.tsv" in found
