"""Checks of the configuration that need no apply."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.conftest import REPOSITORY
from tests.infra.tools import INFRA, Terraform, run, succeeds
from tools.deployment import module_docs

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
    output = terraform("test", "-no-color").stdout
    passed, failed = map(int, re.findall(r"(\d+) passed, (\d+) failed", output)[-1])
    figures["terraform test's runs passed"] = passed
    assert failed == 0


REFUSED: dict[str, tuple[Any, list[str]]] = {
    "project": ("MSD", ["project must have 3 to 15 characters of a-z, 0-9 and -"]),
    "environment": ("my-dev", ["environment must have 2 to 8 characters of a-z and 0-9"]),
    "tags": ({"Project": "other"}, ["tags may not hold Project, Environment, ManagedBy or Name"]),
    "release": (
        {
            "code": "code.zip",
            "environment": "environment/e.tar.gz",
            "gpu_environment": "gpu_environment/e.tar.gz",
            "certificates": "certificates/c.zip",
        },
        ["let `make package` write it"],
    ),
    "network": (
        {"cidr": "10.0.0.0/24", "zones": 0, "vpc_id": "vpc-1"},
        [
            "network.cidr must be an IPv4 range between /16 and /20",
            "network.zones must be between 1 and 6",
            "network.vpc_id and network.private_subnet_ids come together",
        ],
    ),
    "storage": (
        {"infrequent_raw_days": 7, "log_days": 0},
        ["storage.infrequent_raw_days must be 0 (never) or 30 or more", "storage.log_days are days, 1 or more"],
    ),
    "emr": (
        {
            "release_label": "emr-7.1.0",
            "core_instance_types": ["m6i.large", "m6i.large"],
            "task_instance_types": ["m6g.2xlarge", "c6i.xlarge"],
            "core_vcpus": 0,
            "idle_minutes": 0,
        },
        [
            "emr.release_label must be emr-7.5.0 or a later 7.x",
            "emr: each list of instance types holds 1 to 5 different types",
            "emr: not in infra/instance_types.json: m6i.large, m6i.large, m6g.2xlarge.",
            "c6i.xlarge has 4 vCPUs and 6,144 MB for YARN, an executor needs 4 vCPUs and 11,264 MB",
            "emr.core_vcpus must be a whole number, 4 or more",
            "emr.idle_minutes must be between 1 and 10080",
        ],
    ),
    "gpu": (
        {"workers": 1.5, "idle_minutes": 5, "volume_gb": 30, "ami_id": "ubuntu"},
        [
            "gpu.workers must be a whole number from 1 to 32",
            "gpu.idle_minutes must be between 15",
            "gpu.volume_gb must be 100 or more",
            "gpu.ami_id must be an image's id",
        ],
    ),
    "permissions_boundary": ("boundary", ["permissions_boundary must be the ARN of a policy"]),
    "run": (
        {"attempts": 0, "poll_seconds": 0},
        ["run.attempts must be a whole number from 1 to 5", "run.poll_seconds must be between 1 and 600"],
    ),
    "ingest": (
        {"snapshot_id": "msd", "folder": "/data"},
        ["ingest.snapshot_id must be a snapshot's id", "ingest.folder must be a plain path within the snapshot"],
    ),
    "observability": (
        {"email": "me", "monthly_budget_usd": -1, "log_days": 100},
        [
            "observability.email must be an address",
            "observability.monthly_budget_usd must be 0 or more",
            "observability.log_days must be one that CloudWatch accepts",
        ],
    ),
}
"""By variable: a value that is wrong in every way, and what is said of it."""


def test_everything_wrong_is_reported_at_once_and_by_name(terraform: Terraform, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.tfvars.json"
    wrong.write_text(json.dumps({name: value for name, (value, _) in REFUSED.items()}))
    outcome = terraform(
        "plan", "-input=false", "-no-color", f"-state={tmp_path}/none", f"-var-file={wrong}", codes=(1,)
    )
    output = re.sub(r"[\s│]+", " ", outcome.stderr)
    messages = [message for _, messages in REFUSED.values() for message in messages]
    assert [message for message in messages if message not in output] == []
    assert output.count("Error: Invalid value for variable") == len(messages)
    assert output.count("Error: ") == len(messages)


def test_nothing_is_declared_that_is_not_used() -> None:
    unused = []
    everything = "".join(path.read_text() for path in INFRA.rglob("*.tf"))
    for folder in CONFIGURATIONS:
        text = "".join(path.read_text() for path in folder.glob("*.tf"))
        declared = [("var", name) for name in re.findall(r'^variable "(\w+)"', text, flags=re.M)]
        declared += re.findall(r'^data "(\w+)" "(\w+)"', text, flags=re.M)
        unused += [
            f"{folder.name}: {'.'.join(one)}" for one in declared if not re.search(rf"\b{'[.]'.join(one)}\b", text)
        ]
        names = re.findall(r"^  (\w+) += ", "".join(re.findall(r"^locals \{\n(.*?)^\}", text, flags=re.M | re.S)), re.M)
        unused += [f"{folder.name}: local {name}" for name in names if not re.search(rf"local\.{name}\b", text)]
        if folder.parent.name == "modules":
            of = rf"module\.{folder.name}(\[0\]|\[\*\]|\[\w+\.\w+\])?\."
            outputs = re.findall(r'^output "(\w+)"', text, flags=re.M)
            unused += [f"{folder.name}: output {name}" for name in outputs if not re.search(of + name, everything)]
    assert unused == []


@pytest.mark.parametrize("folder", CONFIGURATIONS, ids=lambda folder: folder.name)
def test_readme_is_current(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert text == module_docs.readme(folder), "write it by python -m tools.deployment.module_docs"
    source = "".join(path.read_text() for path in folder.glob("*.tf"))
    blocks = re.findall(r"^(?:variable|output|module|resource) ", source, flags=re.M)
    assert len(re.findall(r"^\| `", text, flags=re.M)) == len(blocks)


def test_an_applying_test_is_not_where_terraform_test_looks() -> None:
    for path in (INFRA / "tests").glob("*.tftest.hcl"):
        text = path.read_text()
        assert 'mock_provider "aws"' in text, path.name


@pytest.mark.usefixtures("terraform")
def test_the_example_of_remote_state_is_valid(tmp_path: Path) -> None:
    example = Terraform.at(INFRA / "examples" / "remote_state", tmp_path)
    assert json.loads(example("validate", "-json").stdout)["valid"]


def test_checkov_finds_nothing_that_is_not_justified(checkers: Path, figures: dict[str, Any]) -> None:
    outcome = run(checkers / "checkov", "--config-file", ".checkov.yaml", "--output", "json", cwd=INFRA)
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
def test_scripts_of_nodes_pass_shellcheck(script: Path, checkers: Path) -> None:
    succeeds(checkers / "shellcheck", "--external-sources", script)
    assert script.stat().st_mode & 0o100
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("name", [".ci/run", "tools/prerequisites.sh"])
def test_scripts_of_setup_pass_shellcheck(name: str, checkers: Path) -> None:
    succeeds(checkers / "shellcheck", REPOSITORY / name)


def test_nothing_names_an_account_a_key_or_a_package_index() -> None:
    listed = succeeds("git", "ls-files", "infra", "requirements", cwd=REPOSITORY).split()
    for name in listed:
        text = (REPOSITORY / name).read_text()
        assert not re.search(r"AKIA[0-9A-Z]{16}|PRIVATE KEY|--(extra-)?index-url|--find-links", text), name


EXAMPLES: dict[str, tuple[dict[str, Any], set[str], set[str]]] = {
    "minimal": ({}, {"module.network[0].aws_nat_gateway.this", "module.pipeline[0].aws_sfn_state_machine.run"}, set()),
    "bring-your-own": (
        {
            "vpc_id": "vpc-0123456789abcdef0",
            "private_subnet_ids": ["subnet-0123456789abcdef0"],
            "kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/0123",
            "data_location": "s3://my-data/msd",
            "permissions_boundary": "arn:aws:iam::123456789012:policy/limit",
        },
        {"module.pipeline[0].aws_sfn_state_machine.run"},
        {"module.network[0].aws_nat_gateway.this", "module.storage.aws_kms_key.this[0]"},
    ),
    "multi-node-gpu": ({}, {"module.gpu_workers[0].aws_autoscaling_group.this"}, set()),
}
"""By example: its variables, and resources that a plan creates, and does not create."""

RELEASE = {
    "code": "code/a.tar.gz",
    "environment": "environment/a.tar.gz",
    "gpu_environment": "gpu_environment/a.tar.gz",
    "certificates": "certificates/a.zip",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_can_be_planned(name: str, emulator: str, terraform: Terraform, tmp_path: Path) -> None:
    values, created, not_created = EXAMPLES[name]
    if name == "bring-your-own":
        ec2 = boto3.client(
            "ec2", endpoint_url=emulator, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"][0]["SubnetId"]
        values = values | {"vpc_id": vpc, "private_subnet_ids": [subnet]}
    variables = tmp_path / "variables.tfvars.json"
    variables.write_text(json.dumps({"release": RELEASE} | values))
    changes = {
        one["address"].removeprefix("module.msd_spark."): one["change"]["after"]
        for one in Terraform.at(INFRA / "examples" / name, tmp_path, emulator).changes(variables)
    }
    assert created <= set(changes)
    assert not not_created & set(changes)
    roles = [after for address, after in changes.items() if ".aws_iam_role." in address]
    assert len(roles) > 5
    assert {role["permissions_boundary"] for role in roles} == {values.get("permissions_boundary")}
    if name == "multi-node-gpu":
        assert changes["module.gpu_workers[0].aws_autoscaling_group.this"]["max_size"] == 2
        (market,) = changes["module.gpu_workers[0].aws_launch_template.this"]["instance_market_options"]
        assert market["market_type"] == "spot"
