"""Terraform and the checkers, where they are, and running them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

INFRA = REPOSITORY / "infra"
CHECKERS = REPOSITORY / ".venv-infra" / "bin"
LOCAL = "http://127.0.0.1:"
PROVIDER = Path("registry.terraform.io", "hashicorp", "aws")


@functools.cache
def provider_mirror() -> Path | None:
    """Return a folder of providers on this machine: TF_PLUGIN_MIRROR, or a place where people keep one."""
    places = [
        *os.environ.get("TF_PLUGIN_MIRROR", "").split(os.pathsep),
        "~/.terraform.d/plugins",
        "~/.local/share/terraform/plugins",
        "/usr/local/share/terraform/plugins",
        "/usr/share/terraform/plugins",
        *map(str, Path("/opt").glob("*")),
    ]
    found = (Path(place).expanduser() for place in places if place)
    return next((folder for folder in found if (folder / PROVIDER).is_dir()), None)


def missing_terraform() -> str | None:
    """Return what tests with Terraform lack on this machine, and how to install it; None if they can run."""
    if not shutil.which("terraform"):
        return "Terraform: terraform is not on the path; install Terraform 1.11"
    if provider_mirror() is None:
        return (
            f"Terraform: no folder with {PROVIDER} on this machine; make one by "
            "`terraform -chdir=infra providers mirror DIR` and name it in TF_PLUGIN_MIRROR"
        )
    return None


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command, its output as text; it is not let run for ever."""
    words = [str(word) for word in command]
    return subprocess.run(words, text=True, capture_output=True, timeout=options.pop("timeout", 300), **options)


def succeeds(*command: str | Path, **options: Any) -> str:
    """Run a command that must succeed; return what it printed."""
    outcome = run(*command, **options)
    assert outcome.returncode == 0, f"{' '.join(map(str, command))}\n{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout


@dataclass(frozen=True)
class Terraform:
    """Terraform in one folder of configuration, with all output in another.

    Attributes
    ----------
    configuration, output : Path
    environment : dict
        Of Terraform's process; an address of an emulator makes applying possible.
    """

    configuration: Path
    output: Path
    environment: dict[str, str]

    @classmethod
    def at(cls, configuration: Path, output: Path, endpoint: str | None = None) -> Terraform:
        """Return Terraform for a folder, initialised from the mirror with the lock file read only."""
        rc = output / "terraformrc"
        rc.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{provider_mirror()}"\n  }}\n}}\n')
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        environment |= {
            "TF_CLI_CONFIG_FILE": str(rc),
            "TF_DATA_DIR": str(output / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            # Processes are short-lived: memory is cheaper than garbage collection.
            "GOGC": "off",
            "GOMEMLIMIT": "1500MiB",
        }
        if endpoint:
            environment |= client_environment(endpoint)
        terraform = cls(configuration, output, environment)
        terraform("init", "-lockfile=readonly", "-input=false")
        return terraform

    def __call__(self, *words: str | Path, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run a command that ends with one of `codes`."""
        outcome = run("terraform", *words, cwd=self.configuration, env=self.environment)
        assert outcome.returncode in codes, f"terraform {words}\n{outcome.stdout[-6000:]}\n{outcome.stderr[-6000:]}"
        return outcome

    @property
    def state(self) -> Path:
        """The state's file."""
        return self.output / "terraform.tfstate"

    def against_emulator(self, command: str, variables: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Plan, apply or destroy on the emulator; anywhere else this refuses to run."""
        assert self.environment.get("AWS_ENDPOINT_URL", "").startswith(LOCAL), "applying is for the emulator alone"
        flags = ("-input=false", "-no-color", f"-state={self.state}", f"-var-file={variables}")
        return self(command, *flags, *words, codes=codes).stdout

    def changes(self, variables: Path, *words: str) -> list[dict[str, Any]]:
        """Return the changes that a plan would make now: address and actions, without those that are none."""
        plan = self.output / "plan"
        self.against_emulator("plan", variables, f"-out={plan}", *words)
        shown = json.loads(self("show", "-json", plan).stdout)
        changed = [
            one for one in shown.get("resource_changes", []) if one["change"]["actions"] not in (["no-op"], ["read"])
        ]
        outputs = [
            {"address": f"output.{name}", "change": one}
            for name, one in shown.get("output_changes", {}).items()
            if one["actions"] != ["no-op"]
        ]
        return changed + outputs

    def differences(self, variables: Path) -> list[str]:
        """Return a line for each change that a plan would make now."""
        return [difference(one["address"], one["change"]) for one in self.changes(variables)]

    def resources(self) -> list[dict[str, Any]]:
        """Return every managed resource of the state: its address, type and values."""
        found = []
        for one in self._state()["resources"]:
            if one["mode"] == "managed":
                path = ".".join([*([one["module"]] if "module" in one else []), one["type"], one["name"]])
                found += [
                    {
                        "address": f"{path}[{each.get('index_key', '')}]",
                        "type": one["type"],
                        "values": each["attributes"],
                    }
                    for each in one["instances"]
                ]
        return found

    def outputs(self) -> dict[str, Any]:
        """Return the outputs' values."""
        return {name: one["value"] for name, one in self._state()["outputs"].items()}

    def _state(self) -> dict[str, Any]:
        return dict(json.loads(self.state.read_text()))


def difference(address: str, change: dict[str, Any]) -> str:
    """Return a change in one line: what is changed, how, and which attributes differ."""
    before, after = change.get("before"), change.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return f"{address}: {change['actions']}: {before} -> {after}"
    differing = {name: (before.get(name), after.get(name)) for name in after if before.get(name) != after.get(name)}
    return f"{address}: {change['actions']}: {differing}"


def client_environment(endpoint: str, **credentials: str) -> dict[str, str]:
    """Return what makes AWS's clients, Terraform's provider among them, talk to an emulator."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "3",
    } | credentials
