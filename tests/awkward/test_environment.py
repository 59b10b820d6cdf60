"""Machines with a wrong JAVA_HOME, without a locale, with a name that has no address, or with IPv6 addresses only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from msd_spark.core.command_line import check_locale
from msd_spark.core.errors import UserError
from msd_spark.spark.session import check_java

UNNAMED = ["unshare", "--uts", "sh", "-c", 'hostname no-such-host-xyz && exec "$@"', "sh"]
"""Words that run a command on a machine whose name has no address."""

IPV6 = """
mount --bind "$0" /etc/hosts && hostname six-host-xyz
ip -6 address add fd00::2/64 dev lo nodad && ip link set lo up && exec "$@"
"""
"""Script of a machine whose name has an IPv6 address only; the first argument is its ``/etc/hosts``."""

ADDRESS = """
from msd_spark.spark.session import use_own_address

environ = {}
use_own_address(environ)
print(environ)
"""

SUM_IN_SPARK = """
import socket
from msd_spark.spark.session import start_spark

print(socket.gethostname(), start_spark("sum").sparkContext.parallelize(range(4), 2).map(int).sum())
"""

SUM_OF_RANKS = """
from training.loop.session import join_ranks

ranks = join_ranks()
print("sum", ranks.total(ranks.rank + 1.0))
"""

JOIN = """
from msd_spark.core.command_line import reported
from training.loop.session import join_ranks

with reported("train"):
    join_ranks()
"""


@pytest.fixture
def unnamed() -> list[str]:
    """The words before a command; skip where a name cannot be changed."""
    if not shutil.which("unshare") or subprocess.run([*UNNAMED, "true"], capture_output=True).returncode:
        pytest.skip("network namespaces: unshare --uts is not permitted here")
    return UNNAMED


@pytest.fixture
def ipv6(tmp_path: Path) -> list[str]:
    """The words that run a command on a machine with IPv6 addresses only, except the loopback address."""
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 localhost\nfd00::2 six-host-xyz\n")
    words = ["unshare", "--net", "--uts", "--mount", "sh", "-c", IPV6, str(hosts)]
    if not shutil.which("ip") or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("network namespaces: unshare --net is not permitted here")
    return words


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"JAVA_HOME": "/nowhere", "PATH": "/usr/bin"},
            "JAVA_HOME is /nowhere, where there is no bin/java; run",
        ),
        ({"PATH": "/nowhere"}, "there is no Java on the PATH; run msd-spark doctor"),
    ],
)
def test_a_missing_java_points_to_the_doctor(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_java(environ)


def test_a_java_home_with_java_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(0o755)
    check_java({"JAVA_HOME": str(tmp_path), "PATH": "/nowhere"})


@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LANG": "C.UTF-8", "LC_ALL": "POSIX"}])
def test_letters_that_spark_submit_has_lost_name_the_locale(locale: dict[str, str]) -> None:
    words = ["--warehouse", "w??5"]
    with pytest.raises(UserError, match=r"'w\?\?5' has \? for non-ASCII characters, .*; export LANG=C\.UTF-8"):
        check_locale(words, {"PYSPARK_GATEWAY_PORT": "1", **locale})
    check_locale(words, locale)
    check_locale(["--warehouse", "wé5"], {"PYSPARK_GATEWAY_PORT": "1", **locale})
    check_locale(words, {"PYSPARK_GATEWAY_PORT": "1", "LANG": "en_US.UTF-8"})


def test_spark_uses_the_loopback_address_if_the_machine_has_none(unnamed: list[str]) -> None:
    for words, address in ((unnamed, "{'SPARK_LOCAL_IP': '127.0.0.1'}"), ([], "{}")):
        ended = subprocess.run([*words, sys.executable, "-c", ADDRESS], capture_output=True, text=True)
        assert (ended.returncode, ended.stdout) == (0, f"{address}\n")


def test_ranks_on_a_machine_without_an_address_end_with_one_line(unnamed: list[str]) -> None:
    environ = os.environ | {"HOROVOD_SIZE": "2", "HOROVOD_RANK": "0"}
    ended = subprocess.run([*unnamed, sys.executable, "-c", JOIN], capture_output=True, text=True, env=environ)
    message = "train: host name no-such-host-xyz does not resolve to an address of this machine; add it to /etc/hosts\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", message)


def test_spark_runs_on_a_machine_with_ipv6_only(ipv6: list[str]) -> None:
    ended = subprocess.run([*ipv6, sys.executable, "-c", SUM_IN_SPARK], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "six-host-xyz 6\n"), ended.stderr


def test_ranks_run_on_a_machine_with_ipv6_only(ipv6: list[str]) -> None:
    launcher = [sys.executable, "-m", "training.ranks.launch", "-np", "2"]
    ended = subprocess.run([*ipv6, *launcher, sys.executable, "-c", SUM_OF_RANKS], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.count("sum 3.0")) == (0, 2), ended.stderr


FULL = """
mount -t tmpfs -o size=4m tmpfs "$0" && head -c $1 /dev/zero > "$0/file" && shift && exec "$@"
"""
"""Script that fills a folder up to 4 MiB; the arguments are the folder, the bytes to fill, and a command."""

SHUFFLE = """
from msd_spark.core.command_line import reported
from msd_spark.spark.session import start_spark

with reported("job"):
    numbers = start_spark("sort").sparkContext.parallelize(range(10), 2)
    numbers.flatMap(lambda n: [(k, __import__("os").urandom(1000)) for k in range(1000)]).groupByKey(2).count()
"""


@pytest.mark.parametrize("n_bytes", [4 << 20, 0], ids=["at the start", "later"])
def test_full_folders_of_spark_are_named(n_bytes: int, tmp_path: Path) -> None:
    words = ["unshare", "--mount", "sh", "-c", FULL, str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*words, "0", "true"], capture_output=True).returncode:
        pytest.skip("network namespaces: unshare --mount is not permitted here")
    environ = os.environ | {"SPARK_LOCAL_DIRS": str(tmp_path)}
    command = [*words, str(n_bytes), sys.executable, "-c", SHUFFLE]
    ended = subprocess.run(command, capture_output=True, text=True, env=environ)
    message = f"job: (Spark failed: )?Spark cannot write temporary files to {tmp_path} .No sp"
    assert re.match(message, ended.stderr), ended.stderr
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
