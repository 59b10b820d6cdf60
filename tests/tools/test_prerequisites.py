"""Every missing program is named at once, with the one command that installs them all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "tools" / "prerequisites.sh"
PACKAGES = {
    "make": "make",
    "g++": "g++",
    "python3.11": "python3.11 python3.11-venv python3.11-dev",
    "git": "git",
    "openssl": "openssl",
    "ssh-keygen": "openssh-client",
    "chromium": "chromium",
    "sshd": "openssh-server",
    "ip": "iproute2",
}
"""Debian packages by program."""

INSTALL = "apt-get update && apt-get install --yes --no-install-recommends"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with every program, of which each does nothing, for a user who is root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PACKAGES:
        write(folder, name)
    write(folder, "id", "echo 0")
    return folder


def write(folder: Path, name: str, body: str = "exit 0") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def check(folder: Path, *words: str) -> tuple[int, list[str]]:
    """Return the exit status and the lines of the script."""
    outcome = subprocess.run(
        ["/bin/sh", str(SCRIPT), *words], env={"PATH": str(folder)}, capture_output=True, text=True
    )
    assert not outcome.stdout
    return outcome.returncode, outcome.stderr.splitlines()


def test_nothing_is_printed_if_nothing_is_missing(programs: Path) -> None:
    assert check(programs, "--tests") == (0, [])


def test_a_bare_machine_needs_one_command(tmp_path: Path) -> None:
    # The script looks for the SSH server outside the path too.
    packages = [PACKAGES[name] for name in PACKAGES if name != "sshd" or not Path("/usr/sbin/sshd").exists()]
    code, lines = check(tmp_path)
    assert code == 1
    assert len(lines) == len(" ".join(packages).split()) + 1
    assert lines[0] == "setup: make is missing, which setup needs"
    assert lines[-1] == f"setup: install all of them: su -c '{INSTALL} {' '.join(packages)}'"


@pytest.mark.parametrize(
    ("name", "code", "code_of_tests"),
    [("make", 1, 1), ("g++", 1, 1), ("python3.11", 1, 1), ("git", 0, 1), ("openssl", 0, 1), ("chromium", 0, 0)],
)
def test_a_missing_program_is_named_with_its_package(name: str, code: int, code_of_tests: int, programs: Path) -> None:
    (programs / name).unlink()
    assert check(programs)[0] == code
    status, lines = check(programs, "--tests")
    assert status == code_of_tests
    assert lines[-1] == f"setup: install all of them: {INSTALL} {PACKAGES[name]}"


@pytest.mark.parametrize(("module", "package"), [("ensurepip", "python3.11-venv"), ("Python.h", "python3.11-dev")])
def test_python_without_its_parts_is_not_enough(module: str, package: str, programs: Path) -> None:
    write(programs, "python3.11", f'case "$2" in *{module}*) exit 1 ;; esac')
    code, lines = check(programs)
    assert code == 1
    assert len(lines) == 2
    assert lines[1].endswith(f"recommends {package}")


def test_the_command_is_for_the_user(programs: Path) -> None:
    (programs / "git").unlink()
    write(programs, "id", "echo 1000")
    assert check(programs)[1][-1].endswith(f": su -c '{INSTALL} git'")
    write(programs, "sudo", "exit 1")
    assert check(programs)[1][-1].endswith(f": sudo sh -c '{INSTALL} git'")


def test_root_can_install_what_is_missing(programs: Path) -> None:
    (programs / "git").unlink()
    (programs / "make").unlink()
    link = f'for one in git make; do case " $* " in *" $one "*) /bin/ln -sf id {programs}/$one ;; esac; done'
    write(programs, "apt-get", f'echo "$*" >> {programs}/calls\n{link}')
    code, lines = check(programs, "--tests", "--install")
    assert code == 0
    assert len(lines) == 3
    assert (programs / "calls").read_text().splitlines()[1] == "install --yes --no-install-recommends make git"


def test_a_package_that_the_archive_lacks_does_not_prevent_the_others(programs: Path) -> None:
    (programs / "git").unlink()
    (programs / "chromium").unlink()
    link = f'case "$*" in *chromium*) exit 100 ;; *git*) /bin/ln -sf id {programs}/git ;; esac'
    write(programs, "apt-get", link)
    assert check(programs, "--tests", "--install")[0] == 0
    assert (programs / "git").exists()
