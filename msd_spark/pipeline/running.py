"""Run the stages: Spark stages in one session of this process, training as Horovod ranks."""

from __future__ import annotations

import ctypes
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msd_spark.core import provenance
from msd_spark.core.command_line import parse, words_of
from msd_spark.core.data_folder import DataFolder
from msd_spark.core.errors import UserError
from msd_spark.core.filesystems import is_local, local_path
from msd_spark.core.options import OptionError, Settings, declared_options, value_at
from msd_spark.core.runs import METADATA, RUNS
from msd_spark.core.trace_log import is_from_spark, last_words
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.records import (
    CODE,
    Record,
    current_record,
    digests,
    read_record,
    record_name,
    why_stale,
    write_record,
)
from msd_spark.pipeline.settings import Plan, resume_words, split_command
from msd_spark.pipeline.stages import BY_NAME, STAGES, Stage

STARTED = ("_unfinished", "started")
"""Within a run's folder: file of a training that has started and not finished."""

INPUTS = ("FILE", "NAME=FILE", "LOCATION", "SOURCE")
"""Placeholders of the options that name inputs."""

RAN, UP_TO_DATE, SKIPPED, WOULD_RUN = "ran", "up to date", "skipped", "would run"

NO_PLAYS = "the data folder has no tasteprofile/train_triplets.txt"

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_RANK_PREFIX = re.compile(rb"^\[\d+\]<std(?:out|err)>:")


@dataclass(frozen=True)
class Outcome:
    """Whether a stage ran, with the reason."""

    stage: str
    outcome: str
    reason: str = ""


def run_stages(plan: Plan, words: Sequence[str] = ()) -> list[Outcome]:
    """Run the chosen stages in order.

    `words` is the pipeline's command line; the message of a failure has the command that resumes it.
    """
    warehouse = Warehouse(plan.options.warehouse)
    stages = [BY_NAME[name] for name in plan.options.stages]
    outcomes: list[Outcome] = []
    started = time.monotonic()
    for number, stage in enumerate(stages, 1):
        command = stage_command(stage, plan)
        reason = skip_reason(stage, plan, warehouse, outcomes)
        title = f"stage {number} of {len(stages)}: {stage.name}"
        if reason:
            outcomes.append(Outcome(stage.name, SKIPPED, reason))
            print(f"\n{title}: skipped, {reason}", flush=True)
            continue
        now = current_record(stage, command, plan, warehouse)
        last = read_record(warehouse, record_name(stage, plan))
        reason = "--force" if plan.options.force else stale_reason(stage, now, last, plan, warehouse)
        if reason is None:
            outcomes.append(Outcome(stage.name, UP_TO_DATE))
            print(f"\n{title}: up to date", flush=True)
            continue
        if can_resume(stage, now, last, plan, warehouse):
            command = ["--resume" if word == "--overwrite" else word for word in command]
        outcomes.append(Outcome(stage.name, WOULD_RUN if plan.options.dry_run else RAN, reason))
        elapsed = f"{time.monotonic() - started:.0f} s elapsed"
        state = f"would run, {reason}" if plan.options.dry_run else f"{reason} ({elapsed})"
        print(f"\n{title}: {state}\n$ {shlex.join(command)}", flush=True)
        if not plan.options.dry_run:
            try:
                run_stage(stage, command, now, plan, warehouse)
            except Exception as error:
                if not (isinstance(error, UserError | OptionError | OSError) or is_from_spark(error)):
                    raise
                text = f"Spark failed: {last_words(error)}" if is_from_spark(error) else error
                remaining = [one.name for one in stages[number - 1 :]]
                raise UserError(f"{stage.name}: {text}\nresume: {resume_words(words, remaining)}") from error
    return outcomes


def check_stages(plan: Plan, *, without_songs: bool = False) -> None:
    """Check the options and sources of every stage before the first one runs.

    `without_songs` allows a data folder without song files, to be filled before ingest.
    """
    data = DataFolder.find(plan.options.data)
    label_options = ("cd1", "cd2", "cd2c", "magd", "topmagd", "masd", "source", "tags")
    needs = {
        "ingest": (data.songs, ("songs", "manifest"), "song files", "subset"),
        "lyrics": (data.bags_train or data.bags_test, ("train", "test"), "musiXmatch bags of words", "lyrics"),
        "labels": (data.labels or data.tags, label_options, "genre labels", "genres"),
    }
    if without_songs:
        del needs["ingest"]
    elif data.metadata and not data.songs and "ingest" in plan.options.stages:
        del needs["ingest"]
        if "dataset" in plan.options.stages and not {"songs", "manifest"} & set(plan.of_stages.get("ingest", {})):
            raise UserError(
                f"{data.folder} has metadata and no song files, without which there is no dataset; add song files "
                "(msd-spark fetch subset), or run the stages before it: --to factors"
            )
    for name, (source, options, contents, fetched) in needs.items():
        if name in plan.options.stages and not source and not set(options) & set(plan.of_stages.get(name, {})):
            raise data.missing(contents, fetched, f"--set {name}.{options[0]}=FILE")
    check_options(plan)
    check_tables(plan, has_plays=bool(data.triplets or plan.of_stages.get("plays", {}).get("triplets")))
    if {name for name in plan.options.stages if BY_NAME[name].sources}:
        for path in data.unrecognised():
            print(f"pipeline: {path} is not read; rename it to a name in docs/data.md", file=sys.stderr)


def check_options(plan: Plan) -> None:
    """Check the options of every stage, and that the local files that they name exist."""
    for stage in (BY_NAME[name] for name in plan.options.stages):
        try:
            check_files(parse(stage.verb.settings_class(), stage_words(stage, plan), stage.verb))
        except (OptionError, UserError) as error:
            raise UserError(f"[{stage.name}] {error}") from None


def check_files(settings: Settings) -> None:
    """Check that the local files exist that the options of a stage name as inputs."""
    for one in declared_options(type(settings)):
        given = value_at(settings, one.path)
        if one.option.metavar not in INPUTS and one.name != "split-lists":
            continue
        for value in given if isinstance(given, tuple) else (given,):
            location = value.partition("=")[2] if value and one.option.metavar == "NAME=FILE" else value
            if not location or not is_local(location) or one.name == "output":
                continue
            is_path = one.option.metavar != "SOURCE" or "/" in location
            is_pattern = one.option.metavar == "LOCATION" and set("*?[") & set(location)
            if is_path and not is_pattern and not Path(local_path(location)).exists():
                raise OptionError(f"--{one.name} is {value!r}, which does not exist; name another file")


def check_tables(plan: Plan, *, has_plays: bool) -> None:
    """Check that each stage finds its inputs: in the warehouse, or written by an earlier stage."""
    warehouse, written = Warehouse(plan.options.warehouse), set[str]()
    for stage in (BY_NAME[name] for name in plan.options.stages):
        if stage.needs_plays and not has_plays:  # skipped
            continue
        for place in plan.places(required(stage, plan)):
            names = place.split("/")
            exists = warehouse.exists(*names, METADATA) if names[0] == RUNS else warehouse.is_complete(*names)
            if place not in written and not exists:
                writer = next((one.name for one in STAGES if place in plan.places(one.writes)), "dataset")
                raise UserError(f"[{stage.name}] {place} is missing; run stage {writer} first, with --from {writer}")
        written |= set(plan.places(stage.writes))


def required(stage: Stage, plan: Plan) -> tuple[str, ...]:
    """Return the places that a stage needs with its options."""
    given = plan.of_stages.get(stage.name, {})
    if stage.name == "plays" and given.get("tracks"):
        return ()
    if stage.name == "neighbours" and given.get("space") == "factors":
        return ("songs", "factors")
    if stage.name == "train" and "dataset" not in plan.options.stages:
        return (f"dataset/{given['dataset']}",) if "dataset" in given else ()  # train takes the only dataset
    return stage.requires


def stage_words(stage: Stage, plan: Plan) -> list[str]:
    """Return the options of a stage as typed."""
    words = words_of(plan.of_stages.get(stage.name, {}), stage.verb.settings_class())
    duplicates = DataFolder.find(plan.options.data).duplicates if stage.name == "dataset" else None
    if duplicates and "duplicates" not in plan.of_stages.get(stage.name, {}):
        words += ["--duplicates", duplicates]
    if stage.sources:
        words += ["--data", plan.options.data]
    words += ["--warehouse", plan.options.warehouse]
    if stage.of_run:
        words += ["--run", plan.options.run]
    return [*words, *(["--overwrite"] if stage.name == "train" else [])]


def stage_command(stage: Stage, plan: Plan) -> list[str]:
    """Return the command of a stage as a user would type it."""
    words = stage_words(stage, plan)
    if stage.name == "train":
        return ["horovodrun", "-np", str(plan.options.ranks), script_path(stage), *words]
    script = stage.verb.script or ""
    if plan.options.spark_submit and script.startswith("jobs/"):
        return ["spark-submit", *split_command(plan.options.spark_submit), script_path(stage), *words]
    return ["msd-spark", stage.verb.name, *words]


def script_path(stage: Stage) -> str:
    """Return the path of a stage's script from the current folder."""
    script = stage.verb.script or ""
    return script if Path.cwd() == CODE else str(CODE / script)


def skip_reason(stage: Stage, plan: Plan, warehouse: Warehouse, outcomes: Sequence[Outcome]) -> str | None:
    """Return why a stage has nothing to do; None if it has."""
    if stage.needs_plays and not (
        DataFolder.find(plan.options.data).triplets or plan.of_stages.get("plays", {}).get("triplets")
    ):
        return NO_PLAYS
    planned = {place for past in outcomes if past.outcome == WOULD_RUN for place in BY_NAME[past.stage].writes}
    if stage.needs and stage.needs not in planned and not warehouse.is_complete(stage.needs):
        return f"there is no table {stage.needs}/"
    return None


def stale_reason(stage: Stage, now: Record, last: Record | None, plan: Plan, warehouse: Warehouse) -> str | None:
    """Return why a stage must run; None if it is up to date."""
    words = [word for word in stage_words(stage, plan) if word != plan.options.warehouse]
    remote = [word for word in words if "://" in word or set("*?[") & set(word)]
    if remote:
        return f"{remote[0]} may have changed"
    outputs = digests(warehouse, plan.places(stage.writes))
    return why_stale(now, last, outputs, ignore_code=plan.options.ignore_code)


def can_resume(stage: Stage, now: Record, last: Record | None, plan: Plan, warehouse: Warehouse) -> bool:
    """Return whether an interrupted training with the same options and inputs can be resumed."""
    if stage.name != "train" or plan.options.force or last is None or last.finished:
        return False
    return last.has_inputs_of(now) and warehouse.exists(RUNS, plan.options.run, *STARTED)


def run_stage(stage: Stage, command: list[str], record: Record, plan: Plan, warehouse: Warehouse) -> None:
    """Run one stage and write its record.

    The record holds the inputs at the start: one that changes while the stage runs makes the result stale.
    """
    name = record_name(stage, plan)
    write_record(warehouse, name, record)
    started = time.monotonic()
    # TensorFlow stays out of this process, which holds the Spark session.
    if command[0] == "msd-spark" and (stage.verb.script or "").startswith("jobs/"):
        settings = parse(stage.verb.settings_class(), command[2:], stage.verb)
        with provenance.running(stage.verb.name, command[2:], getattr(settings, "keep_versions", 0)):
            stage.verb.function()(settings)
    else:
        run_command(command)
    seconds = time.monotonic() - started
    outputs = digests(warehouse, plan.places(stage.writes))
    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_record(warehouse, name, replace(record, finished=finished, seconds=round(seconds, 2), outputs=outputs))
    print(f"{stage.name}: {seconds:.1f} s", flush=True)


def run_command(command: Sequence[str]) -> None:
    """Run a command that ends with this process; print its output without the ranks' prefixes."""
    own = Path(sys.executable).with_name("horovodrun")
    if command[0] == own.name and shutil.which(own.name) == str(own):
        # horovodrun imports TensorFlow twice to check how Horovod was built, which takes longer than a small training.
        command = [sys.executable, "-m", "training.ranks.launch", *command[1:]]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent, bufsize=0
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            sys.stdout.write(_RANK_PREFIX.sub(b"", line).decode(errors="replace"))
            sys.stdout.flush()
    finally:
        status = process.wait()
    if status:
        reason = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
        raise UserError(f"the command failed with {reason}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
