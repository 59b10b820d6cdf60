"""Stages that earlier executions finished, and which of them are up to date.

The input of an execution has them under ``finished``, by the name of their record: a digest of the stage's command and
sources, the release, and the time at which the stage ended. So the last execution is enough to continue any run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from msd_spark.aws.clients import aws_errors
from msd_spark.aws.execution import DONE, WAITING, Execution
from msd_spark.aws.plan import PHASES, command_text
from msd_spark.aws.upload import list_objects
from msd_spark.core.data_folder import ADDITIONAL
from msd_spark.pipeline.records import record_name
from msd_spark.pipeline.settings import Plan
from msd_spark.pipeline.stages import BY_NAME, STAGES

Listing = Mapping[str, tuple[int, str]]
"""Size and tag (a hash, or any text that changes with the content) of each file of the data folder, by its path."""

Finished = dict[str, dict[str, str]]
"""Digest, release and time of the end, by record."""


def list_data(location: str, region: str) -> dict[str, tuple[int, str]]:
    """Return the files of a data folder ``s3://BUCKET[/PREFIX]``; see `Listing`."""
    with aws_errors(f"list {location}"):
        return {name: (one["Size"], one["ETag"]) for name, one in list_objects(location, region).items()}


def with_digests(content: Mapping[str, Any], files: Listing, data: str, warehouse: str) -> dict[str, Any]:
    """Return a machine's input with the digest of each stage's command and sources.

    A stage that reads another address than those below `data` and `warehouse` gets none: its files may have changed.
    """
    stages = {
        phase: [one | {"digest": digest(one, files, data, warehouse)} for one in content[phase]] for phase in PHASES
    }
    return {**content, **stages}


def digest(stage: Mapping[str, Any], files: Listing, data: str, warehouse: str) -> str:
    """Return the digest of a stage's command and sources, empty if its sources are elsewhere."""
    words = command_text(stage).split()
    known = tuple(f"{place}/" for place in (data, warehouse))
    if any("://" in word and not f"{word}/".startswith(known) for word in words):
        return ""
    folders = BY_NAME[stage["stage"]].sources or ((ADDITIONAL,) if f"{data}/{ADDITIONAL}" in " ".join(words) else ())
    sources = sorted((path, *facts) for path, facts in files.items() if path.split("/", 1)[0] in folders)
    return hashlib.sha256(json.dumps([words, sources]).encode()).hexdigest()[:16]


def finished_after(execution: Execution | None) -> Finished:
    """Return the stages that are finished after an execution: those before it and its own, not those that failed."""
    if execution is None:
        return {}
    finished = dict(execution.content.get("finished", {}))
    release = execution.content.get("release", "")
    for one in (stage for phase in PHASES for stage in execution.content.get(phase, [])):
        ran = execution.stages[one["stage"]]
        if "record" not in one:  # started by hand
            continue
        if ran.state != WAITING:
            finished.pop(one["record"], None)
        if ran.state == DONE and ran.ended and one.get("digest"):
            facts = {"digest": one["digest"], "release": release, "at": ran.ended.astimezone(UTC).isoformat()}
            finished[one["record"]] = facts
    return finished


def remaining(
    content: Mapping[str, Any], finished: Finished, plan: Plan, *, ignore_code: bool = False
) -> dict[str, Any]:
    """Return a machine's input without the stages that are up to date.

    A stage is up to date if it was finished with the same command, sources and release, and if no stage whose tables it
    reads runs now or was finished later. With `ignore_code`, the release may differ.
    """
    running: set[str] = set()
    rest = dict(content)
    for phase in PHASES:
        rest[phase] = []
        for one in content[phase]:
            read = upstream(one["stage"], plan)
            last = finished.get(one["record"])
            if (
                last is None
                or not last["digest"] == one["digest"] != ""
                or not (ignore_code or last["release"] == content["release"])
                or any(finished[name]["at"] > last["at"] for name in read & finished.keys())
                or running & read
            ):
                rest[phase].append(one)
                running.add(one["record"])
    return rest


def upstream(stage: str, plan: Plan) -> set[str]:
    """Return the records of the stages whose tables a stage reads."""
    reads = set(BY_NAME[stage].reads)
    return {record_of(one.name, plan) for one in STAGES if reads & set(one.writes) and one.name != stage}


def record_of(stage: str, plan: Plan) -> str:
    """Return the name of a stage's record; each dataset and run has its own."""
    return record_name(BY_NAME[stage], plan).removesuffix(".json")
