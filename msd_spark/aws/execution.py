"""Executions of the state machine: start, follow and cancel them, and read their history."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from msd_spark.aws.clients import aws_errors, client
from msd_spark.aws.plan import name_part
from msd_spark.aws.stack import Stack
from msd_spark.core.errors import UserError

STAGE_STATES = ("SparkStage", "GpuStage")
"""States that run one stage; their input has its name."""

RUNNING, SUCCEEDED = "RUNNING", "SUCCEEDED"

WAITING, DONE, FAILED, ACTIVE = "waiting", "done", "failed", "running"


@dataclass
class StageRun:
    """The state of one stage, from the history."""

    stage: str
    state: str = WAITING
    attempts: int = 0
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""

    def seconds(self, now: datetime) -> float:
        """Return the seconds from the start of the first attempt to the end of the stage, or `now`."""
        return ((self.ended or now) - self.started).total_seconds() if self.started else 0.0


@dataclass(frozen=True)
class Execution:
    """One execution of the state machine.

    Attributes
    ----------
    content : mapping
        Its input.
    reason : str
        Why it failed.
    stages : dict
        By name, those of the input in order.
    active : dict
        Times during which resources exist: ``cluster``, ``workers`` and ``copy`` (the copying instance).
    """

    arn: str
    status: str
    started: datetime
    ended: datetime | None
    content: Mapping[str, Any]
    reason: str
    state: str
    stages: dict[str, StageRun] = field(default_factory=dict)
    active: dict[str, timedelta] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name after the last colon of the ARN."""
        return self.arn.rsplit(":", 1)[1]


def last_execution(stack: Stack, run: str | None = None) -> Execution | None:
    """Return the last execution, of a run if one is named; None if there is none."""
    machine, _ = stack.machines
    sfn = client("stepfunctions", stack.region)
    with aws_errors("status"):
        pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=machine)
        executions = [one for page in pages for one in page["executions"]]
    of_run = [one for one in executions if run is None or one["name"].rpartition("-")[0] == name_part(run)]
    if not of_run:
        return None
    return read_execution(stack, max(of_run, key=lambda one: one["startDate"])["executionArn"])


def read_execution(stack: Stack, arn: str) -> Execution:
    """Return an execution with the history of its stages."""
    sfn = client("stepfunctions", stack.region)
    with aws_errors("status"):
        described = sfn.describe_execution(executionArn=arn)
        pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn, includeExecutionData=True)
        events = [event for page in pages for event in page["events"]]
    content = json.loads(described["input"])
    names = [one["stage"] for phase in ("before", "gpu", "after") for one in content.get(phase, [])]
    stages = stage_runs(names, events)
    reason = described.get("cause") or described.get("error") or ""
    return Execution(
        arn,
        described["status"],
        described["startDate"],
        described.get("stopDate"),
        content,
        reason or next((one.reason for one in stages.values() if one.state == FAILED), ""),
        current_state(events),
        stages,
        active_times(events, described.get("stopDate") or datetime.now(described["startDate"].tzinfo)),
    )


def stage_runs(names: Iterable[str], events: Iterable[Mapping[str, Any]]) -> dict[str, StageRun]:
    """Return the state of each stage from the events of a history, which are in order of time."""
    runs = {name: StageRun(name) for name in names}
    current: StageRun | None = None
    for event in events:
        kind, time_ = event["type"], event["timestamp"]
        entered, exited = event.get("stateEnteredEventDetails", {}), event.get("stateExitedEventDetails", {})
        if entered.get("name") in STAGE_STATES:
            name = json.loads(entered["input"])["stage"]
            current = runs.setdefault(name, StageRun(name))
            current.state, current.ended, current.started = ACTIVE, None, current.started or time_
        elif exited.get("name") in STAGE_STATES and current:
            # a failure that a Catch handles leaves the state too
            current.state, current.ended, current = FAILED if current.reason else DONE, time_, None
        elif current and kind == "TaskScheduled":
            current.attempts, current.reason = current.attempts + 1, ""
        elif current and kind in ("TaskFailed", "TaskTimedOut", "TaskSubmitFailed", "TaskStartFailed"):
            details: Mapping[str, Any] = next(
                (value for name, value in event.items() if name.endswith("EventDetails")), {}
            )
            current.reason = ": ".join(filter(None, (details.get("error"), details.get("cause"))))
        elif (current and kind in ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted", "MapStateFailed")) or (
            current and entered
        ):
            current.state, current.ended, current = FAILED, time_, None
    return runs


def current_state(events: Iterable[Mapping[str, Any]]) -> str:
    """Return the name of the last state that was entered."""
    names = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
    return names[-1] if names else ""


SPANS = {
    "cluster": ("CreateCluster", ("TerminateCluster",)),
    "workers": ("ScaleUp", ("ScaleDown", "ScaleToZero")),
    "copy": ("LaunchCopy", ("TerminateCop",)),
}
"""Beginnings of the names of the states that start and end what costs money."""


def active_times(events: Iterable[Mapping[str, Any]], now: datetime) -> dict[str, timedelta]:
    """Return how long clusters, workers and copying instances existed, from the states that create and remove them."""
    since: dict[str, datetime | None] = dict.fromkeys(SPANS)
    total = {name: timedelta() for name in SPANS}
    for event in events:
        name = event.get("stateEnteredEventDetails", {}).get("name", "")
        for span, (first, last) in SPANS.items():
            begun = since[span]
            if name.startswith(first):
                since[span] = begun or event["timestamp"]
            elif name.startswith(last) and begun:
                total[span] += event["timestamp"] - begun
                since[span] = None
    for span, begun in since.items():
        if begun:
            total[span] += now - begun
    return total


def now_part() -> str:
    """Return the time as part of a name."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())


def start(stack: Stack, content: Mapping[str, Any]) -> str:
    """Start an execution; return its ARN."""
    machine, _ = stack.machines
    name = f"{name_part(content['run'])}-{now_part()}"
    await_cleanup(stack)
    with aws_errors("run"):
        answer = client("stepfunctions", stack.region).start_execution(
            stateMachineArn=machine, name=name, input=json.dumps(content)
        )
    return str(answer["executionArn"])


def await_cleanup(stack: Stack, poll: float = 5.0) -> None:
    """Wait while a clean-up is running, which would remove the clusters of a run that starts now."""
    _, cleanup = stack.machines
    sfn = client("stepfunctions", stack.region)
    with aws_errors("run"):
        while sfn.list_executions(stateMachineArn=cleanup, statusFilter=RUNNING)["executions"]:
            print("waiting for the clean-up of an earlier run", flush=True)
            time.sleep(poll)


def cancel(stack: Stack, execution: Execution, *, poll: float) -> None:
    """Stop an execution, and remove everything that it created.

    Raises
    ------
    UserError
        If the clean-up fails; the message says what to check.
    """
    _, cleanup = stack.machines
    sfn = client("stepfunctions", stack.region)
    with aws_errors("cancel"):
        if execution.status == RUNNING:
            sfn.stop_execution(executionArn=execution.arn, error="Cancelled", cause="msd-spark aws cancel")
        arn = sfn.start_execution(stateMachineArn=cleanup, name=f"cancel-{now_part()}", input='{"cancelled": true}')[
            "executionArn"
        ]
        print("stopped; waiting for the clean-up", flush=True)
        while (status := sfn.describe_execution(executionArn=arn)["status"]) == RUNNING:
            time.sleep(min(poll, 5.0))
    if status != SUCCEEDED:
        group = stack.gpu.group if stack.gpu else "none"
        check = f"check the clusters named {stack.name}-run in EMR, and the Auto Scaling group {group}"
        raise UserError(f"the clean-up ended with status {status}; {check}")
