"""Start and stop SeaweedFS, an S3 server, from its pinned wheel."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

REGION = "us-east-1"
START_SECONDS = 90
"""Longest wait for the first answer; an idle machine needs 3 to 14 s."""

PORTS = range(10_000, 32_000)
"""Ports are drawn below the range from which the kernel takes ports of outgoing connections."""


@dataclass(frozen=True)
class Identity:
    """One account of the server."""

    name: str
    actions: tuple[str, ...]

    @property
    def secret(self) -> str:
        """The secret key of the account; its access key is its name."""
        return f"{self.name}-secret"


ADMINISTRATOR = Identity("administrator", ("Admin", "Read", "List", "Tagging", "Write"))
READER = Identity("reader", ("Read", "List"))


@dataclass(frozen=True)
class Server:
    """A running server; its address is such as ``http://127.0.0.1:20333``."""

    endpoint: str

    def environment(self, endpoint: str | None = None, identity: Identity = ADMINISTRATOR) -> dict[str, str]:
        """Return the variables that make S3 clients use the server, or a proxy at another endpoint."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ENDPOINT_URL_S3": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": identity.name,
            "AWS_SECRET_ACCESS_KEY": identity.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, endpoint: str | None = None, identity: Identity = ADMINISTRATOR) -> Any:
        """Return a boto3 client that never repeats a request by itself."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=identity.name,
            aws_secret_access_key=identity.secret,
            region_name=REGION,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, max_pool_connections=64),
        )

    def create(self, bucket: str) -> None:
        """Create an empty bucket; its name has at least three characters."""
        self.client().create_bucket(Bucket=bucket)


@contextmanager
def served(folder: Path, address: str = "127.0.0.1") -> Iterator[Server]:
    """Serve an object store until the block ends.

    Parameters
    ----------
    folder : Path
        A new folder, which receives the objects, the identities and the server's log.
    address : str
        Address of this machine at which the server listens.

    Raises
    ------
    RuntimeError
        If the server does not answer in time.
    """
    (folder / "data").mkdir(parents=True, exist_ok=True)
    identities = [
        {
            "name": identity.name,
            "credentials": [{"accessKey": identity.name, "secretKey": identity.secret}],
            "actions": identity.actions,
        }
        for identity in (ADMINISTRATOR, READER)
    ]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    ports = _free_ports(address, 8)
    log = folder / "weed.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            _command(folder, address, ports),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            # A bucket begins with one volume, not seven, and GOGC makes garbage collection rare. Credentials of the
            # caller would be another account of the server.
            env={"HOME": str(folder), "TMPDIR": str(folder), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1", "GOGC": "400"},
            start_new_session=True,
        )
    server = Server(f"http://{address}:{ports[0]}")
    try:
        _wait(server, process, log)
        yield server
    finally:
        _stop(process, ports)


def _command(folder: Path, address: str, ports: list[int]) -> list[str]:
    s3, s3_grpc, filer, filer_grpc, master, master_grpc, volume, volume_grpc = ports
    options = {
        "dir": folder / "data",
        "ip": address,
        "ip.bind": address,
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 30_000,  # a full volume stops all writing for a second
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": 1000,  # each bucket has its own; by default, free space of the disk limits their number
        "volume.preStopSeconds": 0,
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "filer.localSocket": folder / "filer.sock",
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": folder / "s3.sock",
        "s3.config": folder / "identities.json",
    }
    return [f"{sysconfig.get_path('scripts')}/weed", "server", *(f"-{name}={value}" for name, value in options.items())]


def _free_ports(address: str, n: int) -> list[int]:
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            ports.append(port)
        if len(ports) == n:
            break
    return ports


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an object can be written."""
    client, bucket = server.client(), "ready"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key="object", Body=b"")
            client.delete_object(Bucket=bucket, Key="object")
            client.delete_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"SeaweedFS at {server.endpoint} does not answer; its log: {log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    """Kill the server's process group: its orderly end takes more than ten seconds, and nobody needs the objects."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for port in ports:  # sockets whose folder no option sets
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)
