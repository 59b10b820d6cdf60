"""Machines with a wrong JAVA_HOME, without a locale, or with a name that has no address."""

from __future__ import annotations

import os
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

ADDRESS = """
from msd_spark.spark.session import use_own_address

environ = {}
use_own_address(environ)
print(environ)
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
    message = "train: the name of this machine, no-such-host-xyz, has no address; add it to /etc/hosts\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", message)
