"""What can be said of the configuration without applying it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.infra.tools import CHECKERS, INFRA, Terraform, run, succeeds

LOCK = INFRA / ".terraform.lock.hcl"
CONFIGURATIONS = sorted({path.parent for path in INFRA.rglob("*.tf")})


def test_everything_is_formatted(terraform: Terraform) -> None:
    terraform("fmt", "-check", "-recursive", "-diff")


def test_init_leaves_the_lock_file_as_it_is(terraform: Terraform) -> None:
    before = LOCK.read_bytes()
    terraform("init", "-input=false", "-lockfile=readonly")
    assert LOCK.read_bytes() == before
    assert len(re.findall(r'"(?:h1|zh):', before.decode())) > 20  # of every platform, not of this machine's alone


def test_the_configuration_is_valid(terraform: Terraform) -> None:
    assert json.loads(terraform("validate", "-json").stdout)["diagnostics"] == []


def test_modules_keep_their_promises(terraform: Terraform, figures: dict[str, Any]) -> None:
    told = terraform("test", "-no-color").stdout
    passed, failed = map(int, re.findall(r"(\d+) passed, (\d+) failed", told)[-1])
    figures["terraform test's runs passed"] = passed
    assert failed == 0


def test_an_applying_test_is_not_where_terraform_test_looks() -> None:
    for path in (INFRA / "tests").glob("*.tftest.hcl"):
        text = path.read_text()
        assert 'mock_provider "aws"' in text, path.name


def test_the_example_of_remote_state_is_valid(tmp_path: Path) -> None:
    example = Terraform.at(INFRA / "examples" / "remote_state", tmp_path)
    assert json.loads(example("validate", "-json").stdout)["valid"]


def test_checkov_finds_nothing_that_is_not_justified(figures: dict[str, Any]) -> None:
    outcome = run(CHECKERS / "checkov", "--config-file", ".checkov.yaml", "--output", "json", cwd=INFRA)
    found = json.loads(outcome.stdout)
    summary = found["summary"]
    figures["checkov passed / failed / justified"] = f"{summary['passed']} / {summary['failed']} / {summary['skipped']}"
    assert [(one["check_id"], one["resource"]) for one in found["results"]["failed_checks"]] == []
    assert summary["passed"] > 300
    assert summary["parsing_errors"] == 0


def test_every_justification_has_a_reason() -> None:
    skips = [line for path in INFRA.rglob("*.tf") for line in path.read_text().splitlines() if "checkov:skip" in line]
    assert skips
    for line in skips:
        assert re.search(r"# checkov:skip=CKV2?_AWS_\d+: \S.{5,}", line), line
    assert "skip-check" not in (INFRA / ".checkov.yaml").read_text()


@pytest.mark.parametrize("script", sorted((INFRA / "nodes").iterdir()), ids=lambda path: path.name)
def test_scripts_of_nodes_pass_shellcheck(script: Path) -> None:
    succeeds(CHECKERS / "shellcheck", "--external-sources", script)
    assert script.stat().st_mode & 0o100
    assert "set -euo pipefail" in script.read_text()


def test_nothing_names_an_account_a_key_or_a_package_index() -> None:
    listed = succeeds("git", "ls-files", "infra", "requirements", cwd=REPOSITORY).split()
    for name in listed:
        text = (REPOSITORY / name).read_text()
        assert not re.search(r"AKIA[0-9A-Z]{16}|PRIVATE KEY|--(extra-)?index-url|--find-links", text), name
