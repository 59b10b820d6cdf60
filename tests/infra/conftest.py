"""One emulator and one applied stack for all tests of the infrastructure, and the table at their end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, TABLES
from tests.infra.emulator import play
from tests.infra.tools import CHECKERS, INFRA, LOCAL, Terraform, missing_terraform
from tools.deployment.archive import write_archive
from tools.deployment.environment import environments, members
from tools.deployment.package import build, keys

FIGURES = TABLES.setdefault("infrastructure", {})
"""Rows of the summary table, in order of insertion."""


@pytest.fixture(scope="session")
def checkers() -> Path:
    """The folder of shellcheck, checkov, parliament and the AWS CLI; tests without it are skipped."""
    if not (CHECKERS / "checkov").exists():
        pytest.skip("infra tools: no .venv-infra; run make infra-tools")
    return CHECKERS


@pytest.fixture(scope="session")
def figures() -> dict[str, Any]:
    """The table at the end, to be added to."""
    return FIGURES


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the outcomes of emulated stages, and the record of their requests."""
    return tmp_path_factory.mktemp("played")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory, played: Path) -> Iterator[str]:
    """The address of an AWS on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("emulator") / "log"
    with log.open("w") as sink:
        command = [sys.executable, "-m", "tests.infra.emulator", str(port)]
        server = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=sink, stderr=sink, env=os.environ | {play.FOLDER: str(played)}
        )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"{LOCAL}{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


@dataclass(frozen=True)
class Packaged:
    """What `make package` built.

    Attributes
    ----------
    folder : Path
        Where it keeps what it built.
    parts : dict
        The files, by what they are.
    """

    folder: Path
    parts: dict[str, Path]

    @property
    def release(self) -> dict[str, str]:
        """Keys of the parts in the artefacts bucket, for Terraform's variable `release`."""
        return keys(self.parts)


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A release with empty environments, because installing their packages takes minutes."""
    folder = tmp_path_factory.mktemp("package")
    venv.create(folder / "made", with_pip=False)
    for environment in environments(REPOSITORY):
        write_archive(folder / environment.archive, members(folder / "made"))
    return Packaged(folder, build("us-east-1", folder))


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory, packaged: Packaged) -> Path:
    """A stack with everything in it."""
    path = tmp_path_factory.mktemp("variables") / "all.tfvars.json"
    everything = {
        "release": packaged.release,
        "storage": {"force_destroy": True},
        "emr": {"interactive": True},
        "run": {"poll_seconds": 1, "capacity_minutes": 0.05, "heartbeat_seconds": 10},
        "observability": {"email": "someone@example.org"},
    }
    path.write_text(json.dumps(everything))
    return path


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform on the root module, with no AWS at all; tests without Terraform are skipped."""
    if reason := missing_terraform():
        pytest.skip(reason)
    return Terraform.at(INFRA, tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def emulated(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory, emulator: str) -> Terraform:
    """Terraform on the emulator, with nothing applied."""
    return Terraform.at(INFRA, tmp_path_factory.mktemp("stack"), emulator)


@pytest.fixture(scope="module")
def stack(emulated: Terraform, variables: Path, figures: dict[str, Any]) -> Terraform:
    """The stack, applied to the emulator, unless an earlier module has done so and not destroyed it."""
    if not (emulated.output / "terraform.tfstate").exists() or not emulated.resources():
        started = time.monotonic()
        emulated.against_emulator("apply", variables, "-auto-approve", "-parallelism=20")
        figures["resources created"] = len(emulated.resources())
        figures["seconds to apply"] = round(time.monotonic() - started)
    return emulated
