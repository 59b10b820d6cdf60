"""Machines for a cluster on this computer: network namespaces, each with its own Unix user and working folder.

All of them are connected by a bridge in a namespace of its own. Every name begins with `PREFIX` and this process's id,
so that a later run can remove what a killed run left behind.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import psutil

PREFIX = "msdc"

FILES = Path("/etc/netns")
"""``ip netns exec`` shows the files of ``NAME/`` in ``/etc``: each machine resolves its own name, as Gloo needs it."""

DISK = 16e9
"""Bytes that the machines need: image, and the packed and unpacked environment of a driver and two executors."""

INTERFACE = "eth0"
"""Network interface of every machine."""


@dataclass(frozen=True)
class Machine:
    """A namespace, a user and a folder that only this user can read.

    Namespace, user and host have the same name. `core` is the one processor core of the machine, or None for all.
    """

    name: str
    address: str
    folder: Path
    core: int | None = None

    def words(self, *words: str | Path) -> list[str]:
        """Return the command that runs another command on the machine, as its user."""
        host = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        user = ["setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--clear-groups", "--"]
        core = [] if self.core is None else ["taskset", "--cpu-list", str(self.core)]
        return ["ip", "netns", "exec", self.name, *host, *core, *user, *map(str, words)]

    def run(self, *words: str | Path) -> None:
        """Run a command in the machine's folder."""
        subprocess.run(self.words(*words), cwd=self.folder, check=True)

    def runs(self) -> bool:
        """Return whether any process runs on the machine."""
        return bool(processes_of(self.name))

    def kill(self) -> None:
        """Kill every process of the machine, as a power cut does."""
        _kill(processes_of(self.name))


@dataclass(frozen=True)
class Network:
    """The machines by their short names, and this computer's address, at which they reach it."""

    machines: dict[str, Machine]
    address: str
    folder: Path

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]


def obstacle() -> str | None:
    """Return why this computer cannot run machines; None if it can."""
    if os.geteuid() != 0:
        return "network namespaces and users need root"
    programs = (
        "ip",
        "unshare",
        "hostname",
        "taskset",
        "setpriv",
        "useradd",
        "userdel",
        "ssh",
        "/usr/sbin/sshd",
        "/usr/bin/python3.11",
    )
    if missing := [program for program in programs if not shutil.which(program)]:
        return f"missing programs: {', '.join(missing)} (Debian: iproute2, openssh-server, python3.11)"
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < DISK:
        return f"{free / 1e9:.0f} GB free in {tempfile.gettempdir()}; the unpacked environments need {DISK / 1e9:.0f}"
    name = f"{PREFIX}{os.getpid()}"
    added = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    entered = subprocess.run(["ip", "netns", "exec", name, "true"], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True)
    if added.returncode or entered.returncode:
        return f"network namespaces are not allowed here: {(added.stderr or entered.stderr).strip()}"
    return None


@contextmanager
def connected(names: Sequence[str], small: Sequence[str] = ()) -> Iterator[Network]:
    """Yield connected machines, `small` ones with one core each; nothing of them remains after the block."""
    remove_leftovers()
    prefix = f"{PREFIX}{os.getpid()}"
    try:
        folder = Path(tempfile.gettempdir(), prefix)
        folder.mkdir(mode=0o755)
        hub, subnet = f"{prefix}-hub", _free_subnet()
        _ip("netns", "add", hub)
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", hub, "link", "set", "bridge", "up")
        _ip("link", "add", prefix, "type", "veth", "peer", "name", "computer", "netns", hub)
        _ip("-n", hub, "link", "set", "computer", "master", "bridge", "up")
        _ip("address", "add", f"{subnet}.1/24", "dev", prefix)
        _ip("link", "set", prefix, "up")
        cores = dict(zip(small, cycle(sorted(os.sched_getaffinity(0)))))  # the second is endless
        machines = {
            name: _add(Machine(f"{prefix}-{name}", f"{subnet}.{number}", folder / name, cores.get(name)), hub)
            for number, name in enumerate([*names, *small], 2)
        }
        yield Network(machines, f"{subnet}.1", folder)
    finally:
        _remove(prefix)


def _add(machine: Machine, hub: str) -> Machine:
    name, address, folder = machine.name, machine.address, machine.folder
    port = f"port{address.rpartition('.')[2]}"
    _ip("netns", "add", name)
    _ip("link", "add", INTERFACE, "netns", name, "type", "veth", "peer", "name", port, "netns", hub)
    _ip("-n", hub, "link", "set", port, "master", "bridge", "up")
    _ip("-n", name, "address", "add", f"{address}/24", "dev", INTERFACE)
    for interface in ("lo", INTERFACE):
        _ip("-n", name, "link", "set", interface, "up")
    # The password * lets the user log in by a key; the default locks the account.
    account = ["useradd", "--system", "--user-group", "--no-create-home", "--password", "*"]
    subprocess.run([*account, "--shell", "/bin/bash", "--home-dir", folder, name], check=True)
    folder.mkdir(mode=0o700)
    shutil.chown(folder, name, name)
    (FILES / name).mkdir(parents=True)
    (FILES / name / "hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
    return machine


def remove_leftovers() -> None:
    """Remove the machines of runs whose process has ended."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    places = (path.name for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    names = {
        *listed,
        *places,
        *(path.name for path in FILES.glob(f"{PREFIX}*")),
        *psutil.net_if_addrs(),
        *(user.pw_name for user in pwd.getpwall()),
    }
    owners = {match[1] for name in names if (match := re.match(rf"{PREFIX}(\d+)(-|$)", name))}
    for owner in owners:
        if int(owner) == os.getpid() or not psutil.pid_exists(int(owner)):
            _remove(f"{PREFIX}{owner}")


def _remove(prefix: str) -> None:
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    for name in (name for name in namespaces if name.startswith(f"{prefix}-")):
        _kill(processes_of(name))
        _ip("netns", "delete", name)
    folder = Path(tempfile.gettempdir(), prefix)
    # The S3 server of a killed run is in no namespace.
    _kill(one.pid for one in psutil.process_iter(["cmdline"]) if f"{folder}/" in " ".join(one.info["cmdline"] or []))
    if prefix in psutil.net_if_addrs():
        _ip("link", "delete", prefix)
    for user in [user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(f"{prefix}-")]:
        subprocess.run(["userdel", user], check=True)
    for path in (folder, *FILES.glob(f"{prefix}-*")):
        shutil.rmtree(path, ignore_errors=True)


def processes_of(namespace: str) -> list[int]:
    """Return the ids of the processes in a namespace."""
    listed = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True).stdout
    return [int(word) for word in listed.split()]


def _kill(pids: Iterable[int]) -> None:
    """Kill processes and wait for their ends."""
    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            processes.append(psutil.Process(pid))
            os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=30)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _free_subnet() -> str:
    """Return the first three numbers of a network that this computer has no address in.

    198.18.0.0/15 is reserved for tests of network devices: it is never routed on the internet (RFC 2544).
    """
    used = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    subnets = (f"198.18.{(os.getpid() + number) % 256}" for number in range(256))
    return next(subnet for subnet in subnets if not any(address.startswith(f"{subnet}.") for address in used))
