from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from msd_spark.aws.execution import active_times, current_state, stage_runs
from msd_spark.aws.plan import name_part

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["ingest", "lyrics", "train"]


def history(*events: tuple[str, str]) -> list[dict[str, Any]]:
    """Return events one minute apart, of a kind and with a name: of a state, or ``STATE/STAGE`` when it is entered."""
    found = []
    for minute, (kind, name) in enumerate(events):
        event: dict[str, Any] = {"type": kind, "timestamp": START + timedelta(minutes=minute)}
        state, _, stage = name.partition("/")
        if kind.endswith("StateEntered"):
            event["stateEnteredEventDetails"] = {"name": state, "input": json.dumps({"stage": stage})}
        elif kind.endswith("StateExited"):
            event["stateExitedEventDetails"] = {"name": state}
        elif kind == "TaskFailed":
            event["taskFailedEventDetails"] = {"error": "States.TaskFailed", "cause": name}
        found.append(event)
    return found


RETRIED = history(
    ("ExecutionStarted", ""),
    ("TaskStateEntered", "CreateClusterBefore"),
    ("TaskStateExited", "CreateClusterBefore"),
    ("TaskStateEntered", "SparkStage/ingest"),
    ("TaskScheduled", ""),
    ("TaskSucceeded", ""),
    ("TaskStateExited", "SparkStage"),
    ("TaskStateEntered", "SparkStage/lyrics"),
    ("TaskScheduled", ""),
    ("TaskFailed", "exit status 1"),
    ("TaskScheduled", ""),
)


def test_a_stage_that_is_tried_again_is_running() -> None:
    runs = stage_runs(NAMES, RETRIED)
    assert {name: one.state for name, one in runs.items()} == {
        "ingest": "done",
        "lyrics": "running",
        "train": "waiting",
    }
    assert (runs["ingest"].attempts, runs["lyrics"].attempts) == (1, 2)
    assert runs["ingest"].seconds(START) == 180
    assert runs["lyrics"].seconds(START + timedelta(minutes=20)) == 13 * 60


def test_a_stage_whose_failure_is_handled_has_failed_with_its_reason() -> None:
    events = [*RETRIED, *history(("TaskFailed", "no space"), ("TaskStateEntered", "TerminateClusterBefore"))]
    failed = stage_runs(NAMES, events)["lyrics"]
    assert (failed.state, failed.reason) == ("failed", "States.TaskFailed: no space")
    assert current_state(events) == "TerminateClusterBefore"
    assert stage_runs(NAMES, [*RETRIED, *history(("ExecutionAborted", ""))])["lyrics"].state == "failed"
    caught = history(("TaskFailed", "no space"), ("TaskStateExited", "SparkStage"), ("FailStateEntered", "LostHead"))
    assert stage_runs(NAMES, [*RETRIED, *caught])["lyrics"].state == "failed"
    succeeded = history(("TaskSucceeded", ""), ("TaskStateExited", "SparkStage"))
    assert stage_runs(NAMES, [*RETRIED, *succeeded])["lyrics"].state == "done"


def test_clusters_and_workers_are_counted_from_start_to_end() -> None:
    events = history(
        ("TaskStateEntered", "CreateClusterBefore"),
        ("TaskStateEntered", "TerminateClusterBefore"),
        ("TaskStateEntered", "ScaleUp"),
        ("TaskStateEntered", "ScaleUp"),  # tried again
        ("TaskStateEntered", "ScaleDown"),
        ("TaskStateEntered", "CreateClusterAfter"),
    )
    times = active_times(events, START + timedelta(minutes=15))
    assert times == {"cluster": timedelta(minutes=1 + 10), "workers": timedelta(minutes=2), "copy": timedelta()}
    filler, end = [("PassStateExited", "")] * 2, ("TaskStateEntered", "ScaleToZero")
    begin = ("TaskStateEntered", "LaunchCopy"), ("TaskStateEntered", "ScaleUp")
    failed = history(*begin, *filler, end, ("TaskStateEntered", "TerminateCopies"))
    times = active_times(failed, START + timedelta(hours=1))
    assert times == {"cluster": timedelta(), "workers": timedelta(minutes=3), "copy": timedelta(minutes=5)}


def test_names_of_executions_have_plain_characters() -> None:
    assert name_part("my rün.1") == "my-r-n-1"
    assert len(name_part("x" * 100) + "-20260101T000000") <= 80
