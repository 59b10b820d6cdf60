"""A Spark standalone cluster and Horovod hosts on the machines of `machines`, which share nothing but S3."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import requests

from tests.cluster.machines import INTERFACE, Machine, Network, connected
from tests.cluster.software import Software, install
from tests.support.java_classes import JAVA_OPTIONS
from tests.support.local_s3.proxy import Proxy, proxied
from tests.support.local_s3.server import Server, served
from tests.support.running import Running, nothing_left

WORKERS = ("worker1", "worker2")
PORT, UI_PORT, SSH_PORT = 7077, 8080, 2222

PYTHON = "/usr/bin/python3.11"
"""Python of the workers: only YARN keeps the executable bits of archives."""

WORKER_OPTIONS = {
    "spark.worker.cleanup.enabled": "true",  # an application's folder has 2 GB
    "spark.worker.cleanup.interval": "10",
    "spark.worker.cleanup.appDataTtl": "1",
}


@dataclass
class Cluster:
    """One master, two workers with one core each, and one machine for drivers.

    `store` is the S3 server, `proxy` what drivers and workers reach it through.
    """

    network: Network
    software: Software
    store: Server
    proxy: Proxy
    started: dict[str, Running] = field(default_factory=dict)
    n_commands: int = 0

    @property
    def master(self) -> str:
        """Address of the master, for ``--master``."""
        return f"spark://{self.network['master'].address}:{PORT}"

    def environment(self, machine: Machine) -> dict[str, str]:
        """Return the environment of a process on a machine."""
        own = {"HOME": machine.folder, "TMPDIR": machine.folder, "SPARK_LOCAL_DIRS": machine.folder}
        folders = {"JAVA_HOME": self.software.java, "SPARK_HOME": self.software.spark}
        # Without java.io.tmpdir, Java uses /tmp, which all machines share.
        java = f"{' '.join(JAVA_OPTIONS)} -Djava.io.tmpdir={machine.folder}"
        spark = {
            "SPARK_LOCAL_IP": machine.address,
            "SPARK_WORKER_OPTS": _java_options(WORKER_OPTIONS),
            "JAVA_TOOL_OPTIONS": java,
            "MSD_SPARK_TRACES": "stderr",  # as on EMR
        }
        return {name: str(value) for name, value in (own | folders | spark | self.common()).items()}

    def common(self) -> dict[str, str]:
        """Return the part of the environment that is the same on every machine."""
        return self.store.environment(self.proxy.endpoint) | {
            "PATH": f"{self.software.environment}/bin:/usr/bin:/bin",
            "PYTHONPATH": str(self.software.code),
            "LANG": "C.UTF-8",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    def start(self, name: str, *words: str | Path, variables: Mapping[str, str] | None = None) -> Running:
        """Start a command on a machine."""
        machine = self.network[name]
        self.n_commands += 1
        log = self.network.folder / "logs" / f"{self.n_commands:03d}-{name}.log"
        environment = self.environment(machine) | dict(variables or {})
        return Running(*machine.words(*words), log=log, folder=machine.folder, environment=environment)

    def start_service(self, name: str, role: str, *options: str) -> None:
        """Start a master or a worker of Spark."""
        script, scala = self.software.spark / "bin" / "spark-class", f"org.apache.spark.deploy.{role}.{role.title()}"
        host = ("--host", self.network[name].address, "--webui-port", str(UI_PORT))
        self.started[name] = self.start(name, script, scala, *host, *options)

    def start_workers(self) -> None:
        """Start the workers that do not run, with their ssh servers, and wait until all are registered."""
        for name in WORKERS:
            if name not in self.started or self.started[name].process.poll() is not None:
                self.clean(name)
                options = ("--cores", "1", "--memory", "2g", "--work-dir", str(self.network[name].folder / "work"))
                self.start_service(name, "worker", *options, self.master)
                self.start(name, "/usr/sbin/sshd", "-D", "-e", "-f", self.network[name].folder / "ssh" / "config")
        _until(lambda: self.state()["aliveworkers"] == len(WORKERS), "workers")

    def state(self) -> dict[str, object]:
        """Return what the master knows; no worker is alive before it answers."""
        try:
            content = requests.get(f"http://{self.network['master'].address}:{UI_PORT}/json/", timeout=5).json()
            return dict(content)
        except requests.ConnectionError:
            return {"aliveworkers": 0}

    def kill(self, name: str) -> None:
        """Kill all processes of a machine at once."""
        self.network[name].kill()
        for command in self.started.values():
            command.process.poll()

    def clean(self, name: str) -> None:
        """Remove the files of killed processes from a machine; an executor leaves 4 GB."""
        assert not self.network[name].runs()
        for path in self.network[name].folder.iterdir():
            if path.name not in (".ssh", "ssh"):
                shutil.rmtree(path, ignore_errors=True)

    def outside(self) -> dict[str, str]:
        """Return the environment of a process of this computer that uses the store without the proxy."""
        return {**os.environ, **self.store.environment()}

    def submitted(self, script: str, *arguments: str) -> Running:
        """Start a job by spark-submit on the machine of drivers."""
        driver = self.network["driver"]
        settings = {
            "spark.archives": self.software.archives,
            "spark.driver.host": driver.address,
            "spark.driver.bindAddress": driver.address,
            "spark.driver.memory": "1g",
            "spark.executor.memory": "1g",
            "spark.executor.cores": "1",
            "spark.sql.shuffle.partitions": "8",
            "spark.files.useFetchCache": "false",  # the cache only helps several executors per worker
            "spark.ui.enabled": "false",
        }
        executors = self.common() | {"PYTHONPATH": "./code:./environment/lib/python3.11/site-packages"}
        del executors["PATH"]
        settings |= {f"spark.executorEnv.{name}": value for name, value in executors.items()}
        options = [word for pair in settings.items() for word in ("--conf", "=".join(pair))]
        variables = {
            "PYSPARK_PYTHON": PYTHON,
            "PYSPARK_DRIVER_PYTHON": f"{self.software.environment}/bin/python",
        }
        submit, job = self.software.spark / "bin" / "spark-submit", self.software.code / script  # a full path stays
        return self.start("driver", submit, "--master", self.master, *options, job, *arguments, variables=variables)

    def submit(self, script: str, *arguments: str) -> None:
        """Run a job to its end."""
        with nothing_left(self.submitted(script, *arguments)) as job:
            job.succeed()

    def submitted_several(self, words: Mapping[str, Sequence[str]]) -> Running:
        """Start verbs in one application, given the words of each."""
        script = shutil.copy(Path(__file__).with_name("several.py"), self.software.folder)
        return self.submitted(
            str(script), *chain.from_iterable((",", verb, *options) for verb, options in words.items())
        )

    def submit_several(self, words: Mapping[str, Sequence[str]]) -> None:
        """Run verbs in one application to its end."""
        with nothing_left(self.submitted_several(words)) as job:
            job.succeed()

    def train(self, *arguments: str) -> None:
        """Train on both workers, one rank each, by horovodrun over ssh."""
        hosts = ",".join(f"{self.network[name].address}:1" for name in WORKERS)
        where = ("-np", "2", "-H", hosts, "--network-interface", INTERFACE, "--ssh-port", str(SSH_PORT))
        # horovodrun sets its whole environment on the hosts: only what is valid there.
        words = [
            *(f"{name}={value}" for name, value in self.common().items()),
            f"{self.software.environment}/bin/horovodrun",
        ]
        script = self.software.code / "training" / "train.py"
        command = self.start("driver", "env", "-i", f"--chdir={self.software.code}", *words, *where, script, *arguments)
        with nothing_left(command) as job:
            job.succeed()

    def start_ssh(self) -> None:
        """Let the driver's user log in to the workers by a key made for this cluster."""
        driver = self.network["driver"]
        key = driver.folder / ".ssh" / "id_ed25519"
        driver.run("mkdir", "-m", "700", key.parent)
        driver.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        config, known = "", ""
        for name in WORKERS:
            worker = self.network[name]
            ssh = worker.folder / "ssh"
            worker.run("mkdir", "-m", "700", ssh)
            worker.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ssh / "host_key")
            (ssh / "authorized_keys").write_bytes(key.with_suffix(".pub").read_bytes())
            (ssh / "config").write_text(
                f"Port {SSH_PORT}\nListenAddress {worker.address}\nHostKey {ssh}/host_key\nPidFile none\n"
                f"AuthorizedKeysFile {ssh}/authorized_keys\nPasswordAuthentication no\nUsePAM no\n"
            )
            config += f"Host {worker.address}\n  User {worker.name}\n"
            known += f"[{worker.address}]:{SSH_PORT} {(ssh / 'host_key.pub').read_text()}"
        for name, content in (("config", config), ("known_hosts", known)):
            (key.parent / name).write_text(content)


def _java_options(settings: Mapping[str, str]) -> str:
    return " ".join(f"-D{name}={value}" for name, value in settings.items())


def _until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.1)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Yield a running cluster."""
    with connected(("master", "driver"), small=WORKERS) as network:
        (network.folder / "logs").mkdir()
        (network.folder / "store").mkdir(mode=0o700)
        software = install(network.folder / "software")
        with (
            served(network.folder / "store", network.address) as store,
            proxied(store.endpoint, network.address) as proxy,
        ):
            cluster = Cluster(network, software, store, proxy)
            cluster.start_service("master", "master", "--port", str(PORT))
            cluster.start_ssh()
            cluster.start_workers()
            yield cluster
