"""The stack's whole life on the emulator: applied, looked at, drifted, destroyed. The tests go in this order."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from msd_spark.core import object_store
from msd_spark.core.errors import UserError
from msd_spark.core.warehouse import Warehouse
from tests.conftest import REPOSITORY
from tests.infra.conftest import Packaged
from tests.infra.tools import INFRA, Terraform, client_environment, run, succeeds

ACCOUNT = "123456789012"
NAME = "msd-spark-dev"
BUCKETS = {role: f"{NAME}-{role}-{ACCOUNT}" for role in ("raw", "warehouse", "artefacts", "logs")}


@pytest.fixture(scope="module")
def client(emulator: str) -> Callable[..., Any]:
    """Clients of the emulator, by service."""

    def make(service: str, **credentials: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} | credentials
        return boto3.client(service, endpoint_url=emulator, region_name="us-east-1", **keys)

    return make


def of_type(stack: Terraform, kind: str) -> list[dict[str, Any]]:
    return [one["values"] for one in stack.resources() if one["type"] == kind]


def test_a_second_plan_is_empty(stack: Terraform, variables: Path, figures: dict[str, Any]) -> None:
    differences = stack.differences(variables)
    figures["second plan's changes"] = len(differences)
    assert differences == []


def test_names_and_tags_follow_one_rule(stack: Terraform) -> None:
    rule = {"Project": "msd-spark", "Environment": "dev", "ManagedBy": "terraform"}
    tagged = [one for one in stack.resources() if "tags_all" in one["values"]]
    assert len(tagged) > 60
    for one in tagged:
        tags = one["values"]["tags_all"] or {}
        assert rule.items() <= tags.items(), one["address"]
        assert tags["Name"].startswith(NAME), one["address"]
    allowed = re.compile(rf"^(alias/|/)?{NAME}(\b|$)|^AWSServiceRoleForAutoScaling_{NAME}$")
    others = {"aws_emr_instance_fleet", "aws_default_security_group"}  # named within their cluster, and by AWS
    for one in stack.resources():
        name = one["values"].get("name") or one["values"].get("bucket")
        if name and one["type"] not in others and not one["type"].startswith(("aws_s3_bucket_", "aws_s3_object")):
            assert allowed.match(name), one["address"]


def test_the_cluster_is_asked_for_as_the_jobs_need_it(
    stack: Terraform, packaged: Packaged, client: Callable[..., Any]
) -> None:
    release = packaged.release
    emr = client("emr")
    identifier = stack.outputs()["emr_cluster_id"]
    cluster = emr.describe_cluster(ClusterId=identifier)["Cluster"]
    assert cluster["ReleaseLabel"] == "emr-7.13.0"
    settings = {one["Classification"]: one for one in cluster["Configurations"]}
    spark = settings["spark-defaults"]["Properties"]
    assert "spark.archives" not in spark  # every node has code and environment
    for side in ("spark.executorEnv", "spark.yarn.appMasterEnv"):
        assert spark[f"{side}.PYSPARK_PYTHON"] == "/opt/msd-spark/environment/bin/python"
        assert spark[f"{side}.PYTHONPATH"] == "/opt/msd-spark/code"
    exported = settings["spark-env"]["Configurations"][0]["Properties"]
    assert exported["PYSPARK_PYTHON"] == exported["PYSPARK_DRIVER_PYTHON"] == "/opt/msd-spark/environment/bin/python"
    action = emr.list_bootstrap_actions(ClusterId=identifier)["BootstrapActions"][0]
    assert action["ScriptPath"] == f"s3://{BUCKETS['artefacts']}/nodes/emr_bootstrap.sh"
    assert action["Args"] == [BUCKETS["artefacts"], release["code"], release["environment"], "/opt/msd-spark"]
    fleets = {one["InstanceFleetType"]: one for one in emr.list_instance_fleets(ClusterId=identifier)["InstanceFleets"]}
    assert fleets["CORE"]["TargetOnDemandCapacity"] == 16
    assert fleets["TASK"]["TargetOnDemandCapacity"] == 0
    assert {one["InstanceType"]: one["WeightedCapacity"] for one in fleets["CORE"]["InstanceTypeSpecifications"]} == {
        "m6i.2xlarge": 8,
        "m5.2xlarge": 8,
        "m6a.2xlarge": 8,
    }
    limits = emr.get_managed_scaling_policy(ClusterId=identifier)["ManagedScalingPolicy"]["ComputeLimits"]
    assert (limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]) == (16, 64)
    assert limits["MaximumOnDemandCapacityUnits"] == 16
    assert emr.get_auto_termination_policy(ClusterId=identifier)["AutoTerminationPolicy"]["IdleTimeout"] == 3600


def test_instance_types_are_ones_that_exist(stack: Terraform, client: Callable[..., Any]) -> None:
    fleets = client("emr").list_instance_fleets(ClusterId=stack.outputs()["emr_cluster_id"])["InstanceFleets"]
    types = {spec["InstanceType"] for one in fleets for spec in one["InstanceTypeSpecifications"]}
    known = client("ec2").describe_instance_types(InstanceTypes=sorted(types))["InstanceTypes"]
    assert {one["InstanceType"] for one in known} == types
    weights = {
        spec["InstanceType"]: spec["WeightedCapacity"]
        for one in fleets[1:]
        for spec in one["InstanceTypeSpecifications"]
    }
    vcpus = {one["InstanceType"]: one["VCpuInfo"]["DefaultVCpus"] for one in known}
    assert all(vcpus[name] == weight for name, weight in weights.items())


def test_make_package_puts_there_what_the_stack_names(
    stack: Terraform, packaged: Packaged, emulator: str, client: Callable[..., Any], tmp_path: Path
) -> None:
    release = tmp_path / "release.auto.tfvars.json"
    options = f"PACKAGE_OPTIONS=--folder {packaged.folder} --release {release}"
    command = ["make", "package", f"BUCKET={BUCKETS['artefacts']}", options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE"))}
    for uploaded in (sum(path.stat().st_size for path in packaged.parts.values()), 0):
        output = succeeds(*command, cwd=REPOSITORY, env=environment | client_environment(emulator))
        assert re.search(rf"uploaded, bytes +{uploaded:,}$", output, flags=re.M), output
    assert json.loads(release.read_text()) == {"release": packaged.release}

    cluster = of_type(stack, "aws_emr_cluster")[0]
    configured = json.dumps([cluster, of_type(stack, "aws_emr_security_configuration")])
    (workers,) = [one for one in of_type(stack, "aws_launch_template") if one["name"] == f"{NAME}-gpu"]
    output = base64.b64decode(workers["user_data"]).decode()
    for part, variable in {"code": "MSD_CODE", "gpu_environment": "MSD_ENVIRONMENT_KEY"}.items():
        assert f"{variable}={packaged.release[part]}\n" in output
    for part, key in packaged.release.items():
        assert part == "gpu_environment" or key in configured
        body = client("s3").get_object(Bucket=BUCKETS["artefacts"], Key=key)["Body"].read()
        assert body == packaged.parts[part].read_bytes()


def test_uploaded_scripts_are_those_of_the_repository(stack: Terraform, client: Callable[..., Any]) -> None:
    s3 = client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKETS["artefacts"], Prefix="nodes/")["Contents"]]
    assert {Path(key).name for key in keys} == {path.name for path in (INFRA / "nodes").iterdir()}
    for key in keys:
        body = s3.get_object(Bucket=BUCKETS["artefacts"], Key=key)["Body"].read()
        assert body == (INFRA / "nodes" / Path(key).name).read_bytes()


def test_user_data_checks_what_it_fetches(stack: Terraform, checkers: Path, tmp_path: Path) -> None:
    templates = {one["name"]: one for one in of_type(stack, "aws_launch_template")}
    assert set(templates) == {f"{NAME}-gpu", f"{NAME}-ingest"}
    for kind, template in templates.items():
        text = base64.b64decode(template["user_data"]).decode()
        script = tmp_path / f"{kind}.sh"
        script.write_text(text)
        outcome = run(checkers / "shellcheck", script)
        assert outcome.returncode == 0, outcome.stdout
        fetched = dict(re.findall(r"^fetch (\S+) ([0-9a-f]{64})$", text, flags=re.M))
        assert "node_task.sh" in fetched
        for name, checksum in fetched.items():
            assert hashlib.sha256((INFRA / "nodes" / name).read_bytes()).hexdigest() == checksum
        assert len(text) < 16_384  # EC2 takes no more


def test_disks_are_encrypted_metadata_is_v2_and_no_address_is_public(
    stack: Terraform, client: Callable[..., Any]
) -> None:
    for template in of_type(stack, "aws_launch_template"):
        assert template["metadata_options"][0]["http_tokens"] == "required"
        assert all(disk["ebs"][0]["encrypted"] == "true" for disk in template["block_device_mappings"])
        assert template["network_interfaces"][0]["associate_public_ip_address"] == "false"
    assert not any(one["map_public_ip_on_launch"] for one in of_type(stack, "aws_subnet"))
    security = json.loads(of_type(stack, "aws_emr_security_configuration")[0]["configuration"])
    assert security["EncryptionConfiguration"]["EnableAtRestEncryption"] is True
    assert security["EncryptionConfiguration"]["EnableInTransitEncryption"] is True
    assert security["InstanceMetadataServiceConfiguration"]["MinimumInstanceMetadataServiceVersion"] == 2
    for role, bucket in BUCKETS.items():
        (rule,) = client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        algorithm = "AES256" if role == "logs" else "aws:kms"  # S3 delivers access logs to no other
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == algorithm
        statements = json.loads(client("s3").get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        (tls,) = [one for one in statements if one["Sid"] == "TlsOnly"]
        assert (tls["Effect"], tls["Action"]) == ("Deny", "s3:*")
        assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_secret_is_in_state_or_outputs(stack: Terraform) -> None:
    text = json.dumps([stack.resources(), stack.outputs()])
    assert not re.search(r"PRIVATE KEY|AKIA[0-9A-Z]{16}|aws_secret_access_key|\"password\": \"[^\"]", text, flags=re.I)
    assert not {one["type"] for one in stack.resources()} & {
        "tls_private_key",
        "aws_secretsmanager_secret_version",
        "aws_iam_access_key",
        "aws_key_pair",
        "random_password",
    }


def test_parliament_finds_nothing_in_the_policies(stack: Terraform, checkers: Path, figures: dict[str, Any]) -> None:
    policies = {one["name"]: json.loads(one["policy"]) for one in of_type(stack, "aws_iam_role_policy")}
    assert len(policies) == 7
    for name, policy in policies.items():
        # parliament does not know that executions are listed by state machine.
        listing = [one for one in policy["Statement"] if one.get("Sid") == "ListRuns"]
        assert all(one["Resource"].endswith(f":stateMachine:{NAME}-run") for one in listing)
        policy["Statement"] = [one for one in policy["Statement"] if one not in listing]
        # parliament does not know that the calls with a task token accept the ARN of a state machine.
        for statement in policy["Statement"]:
            if statement.get("Sid") == "AnswerStateMachine":
                assert statement.pop("Resource") == f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:{NAME}-run"
                statement["Resource"] = "*"
            # Nor that AWS's documents have no account, and that the same action needs the instances.
            if statement.get("Sid") in ("SendShellCommands", "SendCommandsToOwnInstances"):
                resource = statement.pop("Resource")
                assert resource.endswith((":document/AWS-RunShellScript", f":{ACCOUNT}:instance/*"))
                statement["Resource"] = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/AWS-RunShellScript"
        outcome = run(checkers / "parliament", input=json.dumps(policy))
        assert outcome.returncode == 0, f"{name}: {outcome.stdout}{outcome.stderr}"
        assert not outcome.stdout.strip(), f"{name}: {outcome.stdout}"
    figures["policies that parliament read"] = len(policies)


# ---- who may do what --------------------------------------------------------------------------------------------

READ, WRITE, LIST, DELETE = "read", "write", "list", "delete"
EVERY = {READ, WRITE, LIST, DELETE}
MATRIX: dict[str, dict[tuple[str, str], set[str]]] = {
    f"{NAME}-emr-node": {
        ("raw", "songs/x"): {READ, LIST},
        ("warehouse", "songs/x"): EVERY,
        ("warehouse", "_writable-x"): EVERY,
        **{
            ("warehouse", f"{folder}/x"): EVERY
            for folder in (
                *("dataset", "embeddings", "factors", "labels", "maps", "neighbours", "recommendations", "reports"),
                *("studies", "summaries", "_staging"),
            )
        },
        **{
            ("warehouse", f"{folder}/x"): {READ, LIST}
            for folder in ("models", "searches", "comparisons", "evaluations")
        },
        ("artefacts", "code/x"): {READ, LIST},
        ("artefacts", "certificates/x"): {READ, LIST},
        ("artefacts", "workers/x"): {LIST},
        ("artefacts", "wheels/x"): {LIST},
        ("logs", "emr/x"): {WRITE},
        ("logs", "gpu/x"): set(),
    },
    f"{NAME}-gpu": {
        ("raw", "songs/x"): set(),
        ("warehouse", "labels/x"): {LIST},
        ("warehouse", "songs/x"): {READ, LIST},
        ("warehouse", "dataset/genre/x"): {READ, LIST},
        ("warehouse", "dataset/genre-2019/_delta_log/x"): EVERY,
        ("warehouse", "_writable-x"): EVERY,
        **{
            ("warehouse", f"{folder}/x"): EVERY
            for folder in ("models", "searches", "comparisons", "evaluations", "studies")
        },
        ("artefacts", "code/x"): {READ, LIST},
        ("artefacts", "gpu_environment/x"): {READ, LIST},
        ("artefacts", "nodes/gpu/x"): {READ, LIST},
        ("artefacts", "environment/x"): {LIST},
        ("artefacts", "certificates/x"): {LIST},
        ("artefacts", "workers/x"): {READ, WRITE, LIST},
        ("artefacts", "gpu/horovod/x"): {READ, WRITE, LIST},
        ("artefacts", "wheels/x"): {READ, LIST},
        ("logs", "gpu/x"): {WRITE},
        ("logs", "emr/x"): set(),
    },
    f"{NAME}-ingest": {
        ("raw", "songs/x"): {READ, WRITE, LIST},
        ("warehouse", "songs/x"): set(),
        ("artefacts", "nodes/ingest/x"): {READ},
        ("artefacts", "nodes/gpu/x"): set(),
        ("artefacts", "certificates/x"): set(),
        ("logs", "ingest/x"): {WRITE},
        ("logs", "emr/x"): set(),
    },
    f"{NAME}-emr-service": {(role, "x"): set() for role in BUCKETS},
    f"{NAME}-flow-log": {(role, "x"): set() for role in BUCKETS},
    f"{NAME}-run": {(role, "x"): set() for role in BUCKETS},
    f"{NAME}-stopped": {(role, "x"): set() for role in BUCKETS},
}


@contextlib.contextmanager
def enforced(emulator: str) -> Iterator[None]:
    """Have the emulator refuse what no policy allows."""

    def calls_before_enforcing(number: str) -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{emulator}/moto-api/reset-auth", number.encode(), headers, method="POST")
        urllib.request.urlopen(request, timeout=30).read()

    calls_before_enforcing("0")
    try:
        yield
    finally:
        calls_before_enforcing("inf")


def allowed(call: Callable[[], Any]) -> bool:
    """Whether a call is let through; anything but a plain refusal is an error of the test."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "403"}:
            raise
        return False
    return True


def test_every_role_may_do_what_it_must_and_no_more(
    stack: Terraform, emulator: str, client: Callable[..., Any], figures: dict[str, Any]
) -> None:
    everywhere = client("s3")
    for cells in MATRIX.values():
        for role, key in cells:
            everywhere.put_object(Bucket=BUCKETS[role], Key=key, Body=b"there")
    clients = {}
    for name in MATRIX:
        session = client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="test")
        credentials = session["Credentials"]
        clients[name] = client(
            "s3",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
    wrong, tested = [], 0
    with enforced(emulator):
        for name, cells in MATRIX.items():
            s3 = clients[name]
            for (role, key), expected in cells.items():
                bucket = BUCKETS[role]
                actions: dict[str, Callable[[], Any]] = {
                    READ: partial(s3.get_object, Bucket=bucket, Key=key),
                    WRITE: partial(s3.put_object, Bucket=bucket, Key=key, Body=b"new"),
                    LIST: partial(s3.list_objects_v2, Bucket=bucket),
                    DELETE: partial(s3.delete_object, Bucket=bucket, Key=f"{key}-other"),
                }
                for action, call in actions.items():
                    tested += 1
                    if allowed(call) != (action in expected):
                        wrong.append((name, role, key, action))
    figures["IAM cells tested"] = tested
    assert wrong == []


@pytest.fixture
def warehouse_of(
    emulator: str, client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Warehouse]]:
    """The stack's warehouse, with the rights of a role."""

    def opened(role: str) -> Warehouse:
        session = client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="test")
        credentials = session["Credentials"]
        keys = {
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        }
        for name, value in client_environment(emulator, **keys).items():
            monkeypatch.setenv(name, value)
        object_store._store.cache_clear()
        return Warehouse(f"s3://{BUCKETS['warehouse']}")

    yield opened
    object_store._store.cache_clear()


FOLDERS = {"models": "metadata.json", "studies": "summary.json", "reports": "data.json", "comparisons": "data.json"}
"""What is not a table, and the file that names its current folder."""


def replace(warehouse: Warehouse, *place: str) -> None:
    if place[0] in FOLDERS:
        with warehouse.replacing_folder(*place) as folder:
            warehouse.write_file(b"content", *folder.names, "folder", "file")
            folder.point_by_json(FOLDERS[place[0]], {})
    else:
        with warehouse.overwriting(pa.schema({"number": pa.int64()}), *place) as writer:
            writer.write(pa.table({"number": [1]}))
            writer.write_json({"a": 1}, "_side.json")
            scratch = writer.scratch("plan")
            with warehouse.filesystem.open_output_stream(scratch) as sink:
                sink.write(b"plan")
            warehouse.filesystem.delete_file(scratch)


def check(warehouse: Warehouse, *place: str) -> None:
    if place[0] in FOLDERS:
        pointer = FOLDERS[place[0]]
        folder = warehouse.read_json(*place, pointer)["folder"]
        # The emulator also lists folders whose files are all deleted.
        paths = {info.path for info in warehouse.list_files(warehouse.path(*place))}
        assert paths == {warehouse.path(*place, pointer), warehouse.path(*place, folder, "folder", "file")}
    else:
        assert warehouse.read_table(None, *place).num_rows == 1
        assert warehouse.exists(*place, "_side.json")


@pytest.mark.parametrize(
    ("role", "tables", "files", "refused"),
    [
        (
            f"{NAME}-gpu",
            [("models", "r"), ("studies", "r"), ("dataset", "genre-2019")],
            ["models", "searches", "comparisons", "evaluations"],
            [("embeddings", "r"), ("dataset", "genre")],
        ),
        (
            f"{NAME}-emr-node",
            [("songs",), ("embeddings", "r"), ("dataset", "genre"), ("recommendations",), ("reports", "r")],
            ["summaries"],
            [("models", "r"), ("comparisons", "r")],
        ),
    ],
)
def test_a_warehouse_takes_from_each_role_what_its_stages_write(
    stack: Terraform,
    emulator: str,
    warehouse_of: Callable[[str], Warehouse],
    role: str,
    tables: list[tuple[str, ...]],
    files: list[str],
    refused: list[tuple[str, ...]],
) -> None:
    """By the calls that our own code makes: conditional writes, multipart uploads, deletion of what is replaced."""
    warehouse = warehouse_of(role)
    with enforced(emulator):
        for place in tables * 2:
            replace(warehouse, *place)
            check(warehouse, *place)
        for folder in files:
            warehouse.write_json({"a": 1}, folder, "r", "runs", "x.json")
            assert warehouse.read_json(folder, "r", "runs", "x.json") == {"a": 1}
        for place in refused:
            with pytest.raises((OSError, UserError), match="AccessDenied"):
                replace(warehouse, *place)


# ---- drift ------------------------------------------------------------------------------------------------------


def test_work_by_hand_replaces_nothing_and_what_was_opened_is_closed_again(
    stack: Terraform, variables: Path, client: Callable[..., Any]
) -> None:
    emr, scaling = client("emr"), client("autoscaling")
    identifier = stack.outputs()["emr_cluster_id"]
    jar = {"Jar": "command-runner.jar", "Args": ["spark-submit", "/opt/msd-spark/code/jobs/dataset.py"]}
    step = {"Name": "by hand", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    emr.add_job_flow_steps(JobFlowId=identifier, Steps=[step])
    for fleet in emr.list_instance_fleets(ClusterId=identifier)["InstanceFleets"]:
        target = {"CORE": {"TargetOnDemandCapacity": 32}, "TASK": {"TargetSpotCapacity": 48}}
        if change := target.get(fleet["InstanceFleetType"]):
            emr.modify_instance_fleet(ClusterId=identifier, InstanceFleet={"InstanceFleetId": fleet["Id"], **change})
    scaling.set_desired_capacity(AutoScalingGroupName=f"{NAME}-gpu", DesiredCapacity=1)
    client("s3").delete_public_access_block(Bucket=BUCKETS["raw"])
    changes = stack.changes(variables)
    assert [(one["address"], one["change"]["actions"]) for one in changes] == [
        ('module.storage.aws_s3_bucket_public_access_block.this["raw"]', ["create"])
    ]
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[f"{NAME}-gpu"])["AutoScalingGroups"]
    assert len(group["Instances"]) == 1


def test_nothing_is_left_after_destroy(
    stack: Terraform, variables: Path, client: Callable[..., Any], figures: dict[str, Any]
) -> None:
    stack.against_emulator("destroy", variables, "-auto-approve", "-refresh=false", "-parallelism=20")
    left: list[str] = [one["address"] for one in stack.resources()]
    left += [one["Name"] for one in client("s3").list_buckets()["Buckets"] if NAME in one["Name"]]  # others' tests
    left += [role["RoleName"] for role in client("iam").list_roles()["Roles"] if NAME in role["RoleName"]]
    left += [one["Id"] for one in client("emr").list_clusters(ClusterStates=["RUNNING", "WAITING"])["Clusters"]]
    tagged = [{"Name": "tag:Project", "Values": ["msd-spark"]}]
    ec2 = client("ec2")
    left += [one["VpcId"] for one in ec2.describe_vpcs(Filters=tagged)["Vpcs"]]
    left += [one["VolumeId"] for one in ec2.describe_volumes(Filters=tagged)["Volumes"]]
    left += [
        one["InstanceId"]
        for reservation in ec2.describe_instances(Filters=tagged)["Reservations"]
        for one in reservation["Instances"]
        if one["State"]["Name"] != "terminated"
    ]
    left += [one["name"] for one in client("stepfunctions").list_state_machines()["stateMachines"]]
    left += [one["Name"] for one in client("events").list_rules()["Rules"]]
    left += [one["TopicArn"] for one in client("sns").list_topics()["Topics"]]
    left += [one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]]
    figures["left after destroy"] = len(left)
    assert left == []
