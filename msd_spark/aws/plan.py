"""The stages of a run as the input of the state machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from msd_spark.aws.settings import AwsOptions
from msd_spark.aws.sizing import Node
from msd_spark.aws.stack import APPLY, CODE, PACKAGE, Stack, refused_types
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local
from msd_spark.core.options import declared_options
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.records import record_name
from msd_spark.pipeline.running import INPUTS, WOULD_RUN, Outcome, skip_reason, stage_words
from msd_spark.pipeline.settings import Plan, make_plan
from msd_spark.pipeline.stages import BY_NAME, Stage

BEFORE, GPU, AFTER = PHASES = ("before", "gpu", "after")
"""Phases of a run: Spark stages, stages on the GPU workers, and Spark stages that read the trained run."""

NVME = "/mnt/nvme"
"""Where GPU workers mount their local disks."""

CACHED_SHARE = 0.8
"""Share of the local disks that the cache of a training may fill."""


def derived_options(stack: Stack, types: Mapping[str, Node]) -> dict[str, Mapping[str, Any]]:
    """Return the options of stages that follow from the instance types."""
    train: dict[str, Any] = {}
    if stack.gpu:
        worker = types[stack.gpu.instance_type]
        train["batch-size"] = worker.batch_size
        if worker.nvme_gb:
            train |= {"cache": f"{NVME}/cache", "cache-gib": int(worker.nvme_gb * 1e9 * CACHED_SHARE / 2**30)}
        if stack.gpu.elastic:
            train["elastic"] = True
    return {"factors": {"blocks": stack.emr.sizing(types).als_blocks}, "train": train}


def n_ranks(stack: Stack, types: Mapping[str, Node]) -> int:
    """Return the number of ranks: one for each GPU of all workers."""
    return types[stack.gpu.instance_type].gpus * stack.gpu.workers if stack.gpu else 0


def stack_plan(options: AwsOptions, stack: Stack, types: Mapping[str, Node]) -> Plan:
    """Return the options of every stage, for the stack's warehouse and the data.

    The data folder is the local one if it is to be uploaded: what it has decides which stages run.

    Raises
    ------
    UserError
        If nothing fits on an instance type, or an option names a file of this machine, which no node sees.
    """
    refused = refused_types(stack, types)
    if refused:
        raise UserError("; ".join(refused))
    data = os.path.normpath(options.pipeline.data) if options.source == "upload" else stack.data
    chosen = dataclasses.replace(
        options.pipeline, data=data, warehouse=stack.warehouse, ranks=max(1, n_ranks(stack, types))
    )
    plan = make_plan(chosen, derived_options(stack, types))
    for name in plan.options.stages:
        stage_options = plan.of_stages.get(name, {})
        for one in declared_options(BY_NAME[name].verb.settings_class()):
            values = stage_options.get(one.name, ())
            for value in values if isinstance(values, list | tuple) else (values,):
                if one.option.metavar in INPUTS and is_a_local_file(str(value), one.option.metavar):
                    remedy = f"copy it to {stack.data} and name it by its address"
                    raise UserError(f"[{name}] --{one.name} is {value!r}, a file of this machine; {remedy}")
    return plan


def is_a_local_file(value: str, metavar: str | None) -> bool:
    """Return whether the value of an option for inputs names a file of this machine."""
    location = value.partition("=")[2] if metavar == "NAME=FILE" else value
    return is_local(location) and (metavar != "SOURCE" or "/" in location)


def machine_input(options: AwsOptions, plan: Plan, stack: Stack, types: Mapping[str, Node]) -> dict[str, Any]:
    """Return the input of the state machine: the commands of all stages, by phase.

    Raises
    ------
    UserError
        If a chosen stage needs GPU workers, and the stack has none.
    """
    phases: dict[str, list[dict[str, Any]]] = {phase: [] for phase in PHASES}
    outcomes: list[Outcome] = []
    warehouse, launch = Warehouse(plan.options.warehouse), launch_words(stack, types)
    for stage in (BY_NAME[name] for name in plan.options.stages):
        if skip_reason(stage, plan, warehouse, outcomes):
            continue
        outcomes.append(Outcome(stage.name, WOULD_RUN))
        on_workers = (stage.verb.script or "").startswith("training/")
        if on_workers and not stack.gpu:
            problem = f"{stage.name} needs GPU workers, and the stack has none"
            remedy = (
                "skip it, or set gpu.enabled (variable gpu of Terraform)"
                if stack.release
                else f"run {PACKAGE}, then {APPLY}"
            )
            raise UserError(f"{problem}; {remedy}")
        phase = GPU if on_workers else AFTER if stage.of_run else BEFORE
        seconds = int(options.hours * 3600 * (2 if stage.name == "train" else 1))
        if not (on_workers or stack.emr.enabled):
            raise UserError(f"{stage.name} needs a cluster, and the stack has none; set emr.enabled (variable emr)")
        record = record_name(stage, plan).removesuffix(".json")
        command = command_of(stage, plan, stack.data, launch)
        phases[phase].append({"stage": stage.name, "record": record, "seconds": seconds, **command})
    return with_source({"run": plan.options.run, "release": release_digest(stack), **phases}, options.source)


def release_digest(stack: Stack) -> str:
    """Return a digest of the keys of the release, each of which depends on its contents."""
    return hashlib.sha256(json.dumps(stack.release, sort_keys=True).encode()).hexdigest()[:16]


def launch_words(stack: Stack, types: Mapping[str, Node]) -> list[str]:
    """Return the options of ``horovodrun``: all ranks, or for elastic training from one worker's to all."""
    ranks = n_ranks(stack, types)
    if not (stack.gpu and stack.gpu.elastic):
        return ["-np", str(ranks)]
    least = str(types[stack.gpu.instance_type].gpus)
    return ["-np", least, "--min-np", least, "--max-np", str(ranks)]


def command_of(stage: Stage, plan: Plan, data: str, launch: list[str]) -> dict[str, Any]:
    """Return the command of a stage: words for EMR, a line of a shell for the GPU workers.

    Training always resumes: it starts if there is no such run yet, and a retry resumes from the last checkpoint.
    `data` replaces the data folder of the plan; `launch` are the options of ``horovodrun``.
    """
    words = [
        "--resume" if word == "--overwrite" else moved(word, plan.options.data, data)
        for word in stage_words(stage, plan)
    ]
    script = stage.verb.script or ""
    if stage.name == "train":
        return {"command": shlex.join(["horovodrun", *launch, script, *words])}
    if script.startswith("training/"):
        return {"command": shlex.join(["python", script, *words])}
    return {"arguments": ["spark-submit", f"{CODE}/{script}", *words]}


def moved(word: str, folder: str, target: str) -> str:
    """Return `word` with a leading path `folder` replaced by `target`; other words unchanged."""
    is_in = word == folder or word.startswith(f"{folder}/")
    return target + word.removeprefix(folder) if is_in else word


def name_part(run: str) -> str:
    """Return a run's name for use in an execution's name: letters, digits, _ and -, at most 60."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", run).lstrip("-_")[:60] or "run"


def commands(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the command of each stage in a machine's input as text."""
    return {one["stage"]: command_text(one) for phase in PHASES for one in content[phase]}


def command_text(stage: Mapping[str, Any]) -> str:
    """Return the command of one stage of a machine's input as text."""
    return str(stage.get("command") or shlex.join(stage["arguments"]))


def with_source(content: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return a machine's input that copies the snapshot only if the songs are read afterwards."""
    reads_songs = any(one["stage"] == "ingest" for one in content[BEFORE])
    return {**content, "source": "snapshot" if source == "snapshot" and reads_songs else "bucket"}
