"""The state machine of a run, executed by moto's interpreter on the applied stack."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from msd_spark.aws.execution import FAILED, stage_runs
from tests.infra.emulator.play import BAD_INPUT, FAIL, SILENT, SUCCEED
from tests.infra.tools import Terraform, client_environment, run
from tests.support.data_folders import lay_out

INPUT: dict[str, Any] = {
    "run": "demo",
    "source": "bucket",
    "release": "code/a.tar.gz",
    "before": [
        {
            "stage": "ingest",
            "seconds": 600,
            "arguments": ["spark-submit", "/opt/x/jobs/ingest.py", "--data", "s3://raw"],
        },
        {"stage": "dataset", "seconds": 600, "arguments": ["spark-submit", "/opt/x/jobs/dataset.py", "--tags", "50"]},
    ],
    "gpu": [{"stage": "train", "seconds": 600, "command": "horovodrun -np 4 training/train.py --run 'my run'"}],
    "after": [{"stage": "score", "seconds": 600, "arguments": ["spark-submit", "/opt/x/jobs/score.py"]}],
}

SHORT = INPUT | {"before": [], "after": [], "gpu": [INPUT["gpu"][0] | {"seconds": 2}]}
"""Training alone, which may take two seconds, less than until its heartbeat is missed."""


def replace(path: Path, content: dict[str, Any]) -> None:
    """Replace a file that the emulator reads meanwhile."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.rename(path)


@dataclass
class Machine:
    """The state machine on the emulator, and what the emulator recorded."""

    client: Callable[..., Any]
    stack: dict[str, Any]
    played: Path
    outcomes: dict[str, Any] = field(default_factory=dict)

    def start(self, content: dict[str, Any], **outcomes: list[str]) -> str:
        """Start an execution for which the stages have these outcomes."""
        script = {"test": str(time.monotonic_ns())} | {name.replace("_", "-"): one for name, one in outcomes.items()}
        replace(self.played / "outcomes.json", script)
        (self.played / "record.jsonl").write_text("")
        arn = self.client("stepfunctions").start_execution(
            stateMachineArn=self.stack["machine"], name=f"demo-{time.monotonic_ns()}", input=json.dumps(content)
        )["executionArn"]
        return str(arn)

    def clean_up(self, **event: str) -> str:
        """Start the clean-up as the rule does."""
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=self.stack["cleanup"], name=f"rule-{time.monotonic_ns()}", input=json.dumps(event)
        )
        return str(answer["executionArn"])

    def wait(self, arn: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for the end of an execution; return its description."""
        deadline = time.monotonic() + seconds
        while (described := self.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline, self.states(arn)
            time.sleep(0.3)
        return dict(described)

    def states(self, arn: str) -> list[str]:
        """Return the names of the states that were entered, in order."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]

    def record(self, kind: str) -> list[dict[str, Any]]:
        """Return the requests of a kind."""
        lines = (self.played / "record.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["kind"] == kind]

    def left(self) -> dict[str, Any]:
        """Return what costs money: workers, clusters of runs, and copying instances."""
        groups = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        clusters = self.client("emr").list_clusters(ClusterStates=["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"])
        filters = [
            {"Name": "tag:Name", "Values": [f"{self.stack['name']}-ingest"]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
        ]
        reservations = self.client("ec2").describe_instances(Filters=filters)["Reservations"]
        return {
            "workers": sum(group["DesiredCapacity"] for group in groups),
            "clusters": [one["Id"] for one in clusters["Clusters"] if one["Name"] == f"{self.stack['name']}-run"],
            "copies": [one["InstanceId"] for reservation in reservations for one in reservation["Instances"]],
        }


NOTHING: dict[str, Any] = {"workers": 0, "clusters": [], "copies": []}


@pytest.fixture(scope="module")
def client(emulator: str) -> Callable[..., Any]:
    def make(service: str) -> Any:
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=emulator, region_name="us-east-1", **credentials)

    return make


@pytest.fixture
def machine(stack: Terraform, client: Callable[..., Any], played: Path) -> Machine:
    return Machine(client, stack.outputs()["stack"], played)


@pytest.fixture(scope="module")
def messages(stack: Terraform, client: Callable[..., Any]) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the notifications since its last call."""
    (topic,) = [one["TopicArn"] for one in client("sns").list_topics()["Topics"] if one["TopicArn"].endswith("-alarms")]
    sqs = client("sqs")
    queue = sqs.create_queue(QueueName="notified")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def received() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(one["Body"]) for one in found]

    return received


def test_a_run_has_every_stage_with_its_exact_arguments(
    machine: Machine, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    messages()
    arn = machine.start(INPUT)
    assert machine.wait(arn)["status"] == "SUCCEEDED", machine.wait(arn)
    states = machine.states(arn)
    assert [name for name in states if name.startswith(("CreateCluster", "TerminateCluster", "Scale"))] == [
        *("CreateClusterBefore", "TerminateClusterBefore", "ScaleUp", "ScaleDown"),
        *("CreateClusterAfter", "TerminateClusterAfter", "ScaleToZero"),
    ]
    steps = machine.record("addStep")
    assert [one["Step"] for one in steps] == [
        {
            "Name": one["stage"],
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": one["arguments"]},
        }
        for one in INPUT["before"] + INPUT["after"]
    ]
    (sent,) = machine.record("sendCommand")
    assert sent["command"] == INPUT["gpu"][0]["command"]
    assert (sent["log"], sent["stage"], sent["workers"]) == (arn.rsplit(":", 1)[1], "train", "1")
    assert sent["commands"][0] == "until [ -x /opt/msd-spark/bin/node_task.sh ]; do sleep 5; done"
    assert machine.left() == NOTHING
    (message,) = messages()
    assert message["Subject"] == "msd-spark-dev: a run is finished"
    assert message["Message"].startswith("Run demo is finished")


def test_every_state_is_reached(machine: Machine) -> None:
    described = machine.client("stepfunctions").describe_state_machine(stateMachineArn=machine.stack["machine"])
    reached: set[str] = {"OtherRun"}  # test_a_second_run_at_the_same_time_fails_and_touches_nothing
    scenarios: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
        (INPUT | {"source": "snapshot"}, {"workers": [FAIL, SUCCEED], "train": [SILENT, SUCCEED]}),
        (SHORT, {"train": [SILENT]}),
        (INPUT | {"before": []}, {"workers": [FAIL]}),
        (INPUT | {"source": "snapshot"}, {"copy": [FAIL]}),
        (INPUT | {"gpu": [], "after": []}, {"ingest": [FAIL]}),
        (INPUT | {"before": [], "gpu": [], "after": []}, {"clean-up": [FAIL]}),
    ]
    for content, outcomes in scenarios:
        arn = machine.start(content, **outcomes)
        machine.wait(arn)
        reached |= set(machine.states(arn))
        assert machine.left() == NOTHING
    assert sorted(set(names_of(json.loads(described["definition"]))) ^ reached) == []


def names_of(definition: dict[str, Any]) -> list[str]:
    """Return the names of all states, with those of branches and maps."""
    found = []
    for name, state in definition["States"].items():
        found.append(name)
        for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            found += names_of(inner)
    return found


def test_a_step_that_fails_once_is_tried_again(machine: Machine) -> None:
    arn = machine.start(INPUT, dataset=[FAIL, SUCCEED])
    assert machine.wait(arn)["status"] == "SUCCEEDED"
    assert [one["Step"]["Name"] for one in machine.record("addStep")] == ["ingest", "dataset", "dataset", "score"]


def test_a_step_that_fails_again_is_reported_and_nothing_is_left(
    machine: Machine, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    messages()
    arn = machine.start(INPUT, dataset=[FAIL])
    described = machine.wait(arn)
    assert (described["status"], described["cause"][:17]) == ("FAILED", "States.TaskFailed")
    assert [one["Step"]["Name"] for one in machine.record("addStep")] == ["ingest", "dataset", "dataset"]
    assert "TerminateClusters" in machine.states(arn)
    assert machine.left() == NOTHING
    (message,) = messages()
    assert message["Subject"] == "msd-spark-dev: a run failed"
    assert "Run demo failed: States.TaskFailed: " in message["Message"]


def test_training_that_fails_once_is_started_again(machine: Machine) -> None:
    arn = machine.start(INPUT, train=[FAIL, SUCCEED])
    assert machine.wait(arn)["status"] == "SUCCEEDED"
    assert machine.states(arn).count("ScaleUp") == 2
    assert len(machine.record("sendCommand")) == 2
    assert machine.left() == NOTHING


def test_bad_input_of_training_is_not_tried_again(machine: Machine) -> None:
    arn = machine.start(INPUT, train=[BAD_INPUT])
    described = machine.wait(arn)
    assert (described["status"], described["error"]) == ("FAILED", "RunFailed")
    assert described["cause"].startswith("BadInput: ")  # moto loses the cause of a failure within a Map
    assert len(machine.record("sendCommand")) == 1
    assert machine.left() == NOTHING


def test_a_lost_head_is_replaced(machine: Machine) -> None:
    arn = machine.start(INPUT | {"before": [], "after": []}, train=[SILENT, SUCCEED])
    assert machine.wait(arn)["status"] == "SUCCEEDED"
    assert [one["outcome"] for one in machine.record("answer")] == [SILENT, SUCCEED]
    assert machine.states(arn).count("ScaleUp") == 2
    assert machine.left() == NOTHING


def test_a_head_that_is_lost_again_ends_the_run(machine: Machine) -> None:
    arn = machine.start(INPUT | {"before": [], "after": []}, train=[SILENT])
    described = machine.wait(arn)
    assert (described["status"], described["error"]) == ("FAILED", "RunFailed")
    assert described["cause"].startswith("LostHead: ")
    pages = machine.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    runs = stage_runs(["train"], [event for page in pages for event in page["events"]])
    assert runs["train"].state == FAILED  # or the continued run would leave it out
    assert len(machine.record("sendCommand")) == 2
    assert machine.left() == NOTHING


def test_a_second_run_at_the_same_time_fails_and_touches_nothing(machine: Machine) -> None:
    first = machine.start(SHORT | {"gpu": INPUT["gpu"]}, train=[SILENT, SUCCEED])
    deadline = time.monotonic() + 30
    while not machine.record("answer"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    second = machine.client("stepfunctions").start_execution(
        stateMachineArn=machine.stack["machine"], name=f"second-{time.monotonic_ns()}", input=json.dumps(SHORT)
    )["executionArn"]
    described = machine.wait(second)
    assert (described["status"], described["error"]) == ("FAILED", "OtherRun")
    assert machine.states(second) == ["ListRuns", "IsOnlyRun", "OtherRun"]
    cleanup = machine.clean_up(execution="second", status="FAILED")
    assert machine.wait(cleanup)["status"] == "SUCCEEDED"
    assert machine.states(cleanup) == ["IsCancelled", "AwaitListing", "ListRuns", "HasRun", "Cleaned"]
    assert machine.left()["workers"] == 1
    assert machine.wait(first)["status"] == "SUCCEEDED"
    assert machine.left() == NOTHING


def test_training_that_takes_too_long_is_not_tried_again(machine: Machine) -> None:
    arn = machine.start(SHORT, train=[SILENT])
    described = machine.wait(arn)
    assert (described["status"], described["cause"][:15]) == ("FAILED", "StageTimedOut: ")
    assert len(machine.record("sendCommand")) == 1
    assert machine.left() == NOTHING


def test_a_copy_whose_instance_is_lost_leaves_none(machine: Machine) -> None:
    arn = machine.start(INPUT | {"source": "snapshot"}, copy=[SILENT])
    assert machine.wait(arn)["status"] == "FAILED"
    assert "TerminateCopies" in machine.states(arn)
    assert machine.left() == NOTHING


def test_definitions_are_far_below_the_limit_of_step_functions(machine: Machine) -> None:
    """It is 1 MB; what a run adds to its input is a few IDs, far below the 256 KB between states."""
    sfn = machine.client("stepfunctions")
    for arn in (machine.stack["machine"], machine.stack["cleanup"]):
        assert len(sfn.describe_state_machine(stateMachineArn=arn)["definition"].encode()) < 100_000


def test_quotas_of_ec2_have_the_values_that_a_test_sets(machine: Machine) -> None:
    quotas, override = machine.client("service-quotas"), machine.played / "quotas.json"
    codes = [one["QuotaCode"] for one in quotas.list_service_quotas(ServiceCode="ec2")["Quotas"]]
    override.write_text(json.dumps({"L-DB2E81BA": 8}))
    try:
        values = [
            quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"]
            for code in ("L-DB2E81BA", "L-1216C47A")
        ]
    finally:
        override.unlink()
    assert (values, len(codes)) == ([8.0, 256.0], 7)


def test_the_snapshot_is_copied_first_and_its_instance_goes(machine: Machine) -> None:
    arn = machine.start(INPUT | {"source": "snapshot", "gpu": [], "after": []}, copy=[SUCCEED])
    assert machine.wait(arn)["status"] == "SUCCEEDED"
    states = machine.states(arn)
    first = ["ListRuns", "IsOnlyRun", "Work", "Source", "LaunchCopy", "CopySnapshot", "TerminateCopy"]
    assert states[: states.index("HasBefore")] == first
    (sent,) = machine.record("sendCommand")
    assert sent["commands"][1].startswith("exec /opt/msd-spark/bin/ingest_copy.sh ")
    assert machine.left() == NOTHING


def test_a_copy_that_fails_leaves_no_instance(machine: Machine) -> None:
    arn = machine.start(INPUT | {"source": "snapshot"}, copy=[FAIL])
    assert machine.wait(arn)["status"] == "FAILED"
    assert "TerminateCopies" in machine.states(arn)
    assert machine.record("createCluster") == []
    assert machine.left() == NOTHING


def test_phases_without_stages_start_nothing(machine: Machine) -> None:
    arn = machine.start(INPUT | {"before": [], "gpu": []})
    assert machine.wait(arn)["status"] == "SUCCEEDED"
    assert len(machine.record("createCluster")) == 1
    assert not {"ScaleUp", "CreateClusterBefore"} & set(machine.states(arn))


def test_a_run_that_is_stopped_is_cleaned_up_by_the_other_machine(
    machine: Machine, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    arn = machine.start(INPUT, train=[SILENT])
    deadline = time.monotonic() + 30
    while not machine.record("answer"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert machine.left()["workers"] == 1
    machine.client("stepfunctions").stop_execution(executionArn=arn)
    messages()
    name = arn.rsplit(":", 1)[1]
    assert machine.wait(machine.clean_up(execution=name, status="ABORTED"))["status"] == "SUCCEEDED"
    assert machine.left() == NOTHING
    (message,) = messages()
    assert message["Subject"] == "msd-spark-dev: a run was stopped"
    assert message["Message"].startswith(f"Execution {name} ended with status ABORTED. ")
    (rule,) = machine.client("events").list_rules(NamePrefix="msd-spark-dev-stopped")["Rules"]
    pattern = json.loads(rule["EventPattern"])["detail"]
    assert pattern == {"stateMachineArn": [machine.stack["machine"]], "status": ["ABORTED", "FAILED", "TIMED_OUT"]}


def test_the_request_for_a_cluster_is_accepted_by_emr(machine: Machine) -> None:
    """The parameters of createCluster are those of RunJobFlow, as botocore knows them."""
    machine.wait(machine.start(INPUT | {"gpu": [], "after": []}))
    (asked,) = machine.record("createCluster")
    del asked["kind"]
    model = machine.client("emr").meta.service_model.operation_model("RunJobFlow")
    report = ParamValidator().validate(asked, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert asked["Name"] == "msd-spark-dev-run"
    assert asked["AutoTerminationPolicy"] == {"IdleTimeout": 3600}
    fleets = {one["InstanceFleetType"]: one for one in asked["Instances"]["InstanceFleets"]}
    assert (fleets["CORE"]["TargetOnDemandCapacity"], fleets["TASK"]["TargetSpotCapacity"]) == (16, 8)
    spark = next(one["Properties"] for one in asked["Configurations"] if one["Classification"] == "spark-defaults")
    assert spark["spark.executor.memory"] == spark["spark.executor.memoryOverhead"] == "5888m"
    assert spark["spark.driver.memory"] == "10922m"
    assert spark["spark.storage.decommission.enabled"] == "true"
    assert spark["spark.shuffle.service.enabled"] == "false"  # its files do not migrate
    assert spark["spark.executorEnv.PYSPARK_PYTHON"] == "/opt/msd-spark/environment/bin/python"
    assert "spark.archives" not in spark


# ---- msd-spark aws ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def laptop(stack: Terraform, client: Callable[..., Any], emulator: str, tmp_path_factory: Any) -> dict[str, Any]:
    """A laptop with a data folder and the description of the stack, whose release is uploaded."""
    described = stack.outputs()["stack"]
    for key in described["release"].values():
        client("s3").put_object(Bucket=described["buckets"]["artefacts"], Key=key, Body=b"x")
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "stack.json").write_text(json.dumps(described))
    lay_out(folder / "data", "songs/A/A.tar", "musixmatch/mxm_dataset_train.txt", "tagtraum/msd_tagtraum_cd1.cls")
    lay_out(folder / "data", "lastfm/lastfm_tags.db", "tasteprofile/train_triplets.txt")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {"folder": folder, "stack": described, "environment": environment | client_environment(emulator)}


@pytest.fixture
def aws(laptop: dict[str, Any]) -> Callable[..., list[str]]:
    """Return the words of ``msd-spark aws``."""
    program = str(Path(sys.executable).with_name("msd-spark"))

    def words(action: str, *more: str) -> list[str]:
        given = ["--stack", str(laptop["folder"] / "stack.json"), "--poll", "0.3"]
        return [program, "aws", action, *given, *more]

    return words


def set_outcomes(machine: Machine, **outcomes: list[str]) -> None:
    """Set the outcomes of stages, and forget earlier requests."""
    content = {"test": str(time.monotonic_ns())} | {name.replace("_", "-"): one for name, one in outcomes.items()}
    replace(machine.played / "outcomes.json", content)
    (machine.played / "record.jsonl").write_text("")


UPLOAD = ("--source", "upload", "--data")


def test_a_run_goes_on_when_its_laptop_is_killed_and_is_followed_again(
    machine: Machine, laptop: dict[str, Any], aws: Callable[..., list[str]]
) -> None:
    set_outcomes(machine, dataset=[SILENT], workers=[FAIL, SUCCEED])
    words = aws("run", *UPLOAD, str(laptop["folder"] / "data"), "--run", "killed")
    with subprocess.Popen(words, env=laptop["environment"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "dataset: running" in line:
                process.kill()
                break
    outcomes = machine.played / "outcomes.json"
    with subprocess.Popen(words, env=laptop["environment"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("already running: arn:aws:states:"):
                replace(outcomes, json.loads(outcomes.read_text()) | {"dataset": [SUCCEED]})
    assert process.returncode == 0, lines
    assert any(line.startswith("already running: ") for line in lines)
    assert not any(line.startswith("ok      quotas") for line in lines)  # the run itself uses them
    steps = [one["Step"]["Name"] for one in machine.record("addStep")]
    assert steps == [
        *("ingest", "lyrics", "labels", "plays", "factors", "dataset", "factor-neighbours"),
        *("score", "neighbours", "maps", "report"),
    ]
    assert [one["stage"] for one in machine.record("sendCommand")] == ["train", "listen"]
    data = f"--data {laptop['stack']['data']} "
    arguments = " ".join(machine.record("addStep")[2]["Step"]["HadoopJarStep"]["Args"])
    assert arguments.startswith("spark-submit /opt/msd-spark/code/jobs/labels.py ")
    assert data in arguments
    assert machine.left() == NOTHING
    again = run(*words, env=laptop["environment"])
    assert "run killed is up to date; --force runs it again" in again.stdout
    labels = laptop["folder"] / "data" / "tagtraum" / "msd_tagtraum_cd1.cls"
    labels.write_text("# changed\n")
    changed = run(*words, "--dry-run", env=laptop["environment"]).stdout
    assert "would upload 1 files, 10 bytes" in changed
    assert re.search(r"^labels +spark-submit", changed, flags=re.M)
    assert not re.search(r"^(ingest|plays) +spark-submit", changed, flags=re.M)


def test_a_run_that_failed_goes_on_at_the_stage_that_failed(
    machine: Machine, laptop: dict[str, Any], aws: Callable[..., list[str]]
) -> None:
    set_outcomes(machine, dataset=[FAIL, FAIL, SUCCEED])
    words = aws("run", *UPLOAD, str(laptop["folder"] / "data"), "--run", "failed", "--skip", "listen", "report")
    first = run(*words, env=laptop["environment"])
    assert first.returncode == 2
    assert "aws: dataset failed: States.TaskFailed" in first.stderr
    assert "see msd-spark aws logs, then repeat the command to resume" in first.stderr
    status = run(*aws("status"), env=laptop["environment"]).stdout
    assert re.search(r"^labels +done +1 ", status, flags=re.M)
    assert not re.search(r"^ingest ", status, flags=re.M)  # the run before finished it, and changed labels
    assert re.search(r"^dataset +failed +2 ", status, flags=re.M)
    assert re.search(r"^train +waiting *$", status, flags=re.M)
    assert re.search(r"cost so far: [\d.]+( – [\d.]+)? USD", status)
    (machine.played / "record.jsonl").write_text("")
    second = run(*words, env=laptop["environment"])
    assert second.returncode == 0, second.stdout + second.stderr
    assert [one["Step"]["Name"] for one in machine.record("addStep")][:2] == ["dataset", "factor-neighbours"]


def test_logs_of_stages_are_found(
    machine: Machine, laptop: dict[str, Any], aws: Callable[..., list[str]], client: Callable[..., Any]
) -> None:
    step = max(
        machine.client("emr").list_clusters()["Clusters"], key=lambda one: one["Status"]["Timeline"]["CreationDateTime"]
    )
    logs = laptop["stack"]["buckets"]["logs"]
    steps = client("emr").list_steps(ClusterId=step["Id"])["Steps"]
    key = f"emr/{step['Id']}/steps/{steps[0]['Id']}/stdout.gz"
    client("s3").put_object(Bucket=logs, Key=key, Body=gzip.compress(b"songs 1,000\n"))
    machine_ = laptop["stack"]["machine"]
    executions = client("stepfunctions").list_executions(stateMachineArn=machine_)["executions"]
    name = max(executions, key=lambda one: one["startDate"])["name"]
    client("s3").put_object(Bucket=logs, Key=f"gpu/{name}/train-ip-10-0-0-1.log", Body=b"epoch 20 of 20\n")
    assert "epoch 20 of 20" in run(*aws("logs", "--stage", "train"), env=laptop["environment"]).stdout
    assert "songs 1,000" in run(*aws("logs", "--stage", steps[0]["Name"]), env=laptop["environment"]).stdout
    missing = run(*aws("logs", "--stage", "report"), env=laptop["environment"])
    assert "aws: stage report of failed-" in missing.stderr


def test_a_run_that_is_cancelled_leaves_nothing(
    machine: Machine, laptop: dict[str, Any], aws: Callable[..., list[str]]
) -> None:
    set_outcomes(machine, train=[SILENT])
    refused = run(*aws("cancel", "--dry-run"), env=laptop["environment"])
    assert "--dry-run has no effect on aws cancel; leave it out" in refused.stderr
    unknown = run(*aws("cancel", "--run", "unknown"), env=laptop["environment"])
    assert "no run unknown was started in the stack msd-spark-dev" in unknown.stderr
    words = aws("run", *UPLOAD, str(laptop["folder"] / "data"), "--run", "cancelled", "--detach")
    assert run(*words, env=laptop["environment"]).returncode == 0
    deadline = time.monotonic() + 60
    while not machine.record("answer"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    other = run(*words, "--epochs", "3", env=laptop["environment"])
    assert "run cancelled is running with other options" in other.stderr
    outcome = run(*aws("cancel"), env=laptop["environment"])
    assert outcome.returncode == 0, outcome.stderr
    assert "removed all clusters and copying instances, and scaled the workers to 0" in outcome.stdout
    assert re.search(r"^cancelled-\S+ +aborted ", outcome.stdout, flags=re.M)
    assert machine.left() == NOTHING


REFUSED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "account": ({"account": "999999999999"}, [], "the credentials are of account 123456789012"),
    "release": ({"release": {"code": "code/none.tar.gz"}}, [], "code/none.tar.gz is missing; run"),
    "types": ({"emr.core_instance_types": ["c6i.xlarge"]}, [], "c6i.xlarge has 4 vCPUs and 6,144 MB for YARN"),
    "zones": ({"zones": ["us-east-1e"]}, [], "not offered in us-east-1e; choose other types"),
    "data": ({"data": "s3://nowhere-at-all"}, ["--source", "bucket"], "NoSuchBucket"),
    "snapshot": (
        {"snapshot.id": "snap-00000000"},
        ["--source", "snapshot"],
        "snapshot snap-00000000 does not exist in us-east-1",
    ),
    "image": ({"gpu.ami_id": "ami-00000000"}, [], "image ami-00000000 is not available in us-east-1"),
    "file": ({}, ["--set", "labels.cd1=my.cls"], "[labels] --cd1 is 'my.cls', a file of this machine"),
    "space": ({}, ["--songs", "200000000"], "takes 6000 GB, the local disks have 3800 GB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_starts_if_a_check_fails(name: str, machine: Machine, laptop: dict[str, Any], tmp_path: Path) -> None:
    changes, words, message = REFUSED[name]
    described = json.loads(json.dumps(laptop["stack"]))
    for place, value in changes.items():
        part, _, inner = place.partition(".")
        if inner:
            described[part][inner] = value
        else:
            described[part] = value
    (tmp_path / "stack.json").write_text(json.dumps(described))
    set_outcomes(machine)
    source = words if "--source" in words else [*UPLOAD, str(laptop["folder"] / "data"), *words]
    program = str(Path(sys.executable).with_name("msd-spark"))
    command = [program, "aws", "run", "--stack", str(tmp_path / "stack.json"), "--run", "refused", *source]
    outcome = run(*command, env=laptop["environment"])
    assert outcome.returncode == 2
    assert message in outcome.stdout, outcome.stdout + outcome.stderr
    assert re.search(r"aws: \d+ of \d+ checks failed \(.*\); nothing was started", outcome.stderr)
    assert machine.record("createCluster") == []
    assert machine.left() == NOTHING


def test_a_quota_that_is_too_small_is_refused_with_the_command_that_asks_for_more(
    machine: Machine, laptop: dict[str, Any], aws: Callable[..., list[str]]
) -> None:
    (machine.played / "quotas.json").write_text(json.dumps({"L-DB2E81BA": 8}))
    try:
        outcome = run(*aws("run", *UPLOAD, str(laptop["folder"] / "data")), env=laptop["environment"])
    finally:
        (machine.played / "quotas.json").unlink()
    assert "48 vCPUs of On-Demand g5.12xlarge are needed and 0 are in use, the quota L-DB2E81BA is 8" in outcome.stdout
    assert "--quota-code L-DB2E81BA --desired-value 48" in outcome.stdout


def test_a_quota_of_spot_that_is_too_small_for_task_nodes_is_no_problem(
    machine: Machine, laptop: dict[str, Any], aws: Callable[..., list[str]]
) -> None:
    (machine.played / "quotas.json").write_text(json.dumps({"L-34B43A08": 12}))
    try:
        outcome = run(*aws("run", *UPLOAD, str(laptop["folder"] / "data"), "--dry-run"), env=laptop["environment"])
    finally:
        (machine.played / "quotas.json").unlink()
    assert "fewer task nodes, so that Spark stages take longer (quota L-34B43A08)" in outcome.stdout
    assert outcome.returncode == 0, outcome.stderr


def test_what_would_run_is_shown_with_its_cost(
    machine: Machine, laptop: dict[str, Any], aws: Callable[..., list[str]]
) -> None:
    set_outcomes(machine)
    words = aws("run", *UPLOAD, str(laptop["folder"] / "data"), "--run", "dry", "--dry-run", "--hours", "1")
    outcome = run(*words, env=laptop["environment"])
    assert outcome.returncode == 0, outcome.stderr
    assert re.search(r"^train +horovodrun -np 4 training/train.py .*--batch-size 128 ", outcome.stdout, flags=re.M)
    assert re.search(r"^estimate for 1,000,000 songs: [\d.]+ – [\d.]+ USD$", outcome.stdout, flags=re.M)
    assert machine.record("createCluster") == []
    cost = run(*aws("cost", "--songs", "10000"), env=laptop["environment"]).stdout
    assert re.search(r"^total +[\d–. ]+$", cost, flags=re.M)


def test_runs_leave_the_stack_as_it_was(stack: Terraform, variables: Path) -> None:
    assert stack.differences(variables) == []
