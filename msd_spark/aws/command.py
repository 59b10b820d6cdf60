"""The verb ``aws``: check, start, follow and cancel a run, print its logs, and estimate its cost."""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate

from msd_spark.aws import cost, execution
from msd_spark.aws.clients import aws_errors, client
from msd_spark.aws.execution import FAILED, RUNNING, SUCCEEDED, Execution
from msd_spark.aws.finished import Listing, finished_after, list_data, remaining, with_digests
from msd_spark.aws.plan import PHASES, commands, machine_input, stack_plan, with_source
from msd_spark.aws.preflight import Preflight
from msd_spark.aws.settings import AwsOptions
from msd_spark.aws.sizing import Node, read_types
from msd_spark.aws.stack import Stack, read_stack
from msd_spark.aws.upload import missing_files, upload
from msd_spark.core.errors import UserError
from msd_spark.pipeline.running import check_options, check_stages
from msd_spark.pipeline.settings import PipelineOptions, Plan

STATUS = "msd-spark aws status"


def run(options: AwsOptions) -> None:
    """Run ``msd-spark aws``."""
    stack, types = read_stack(options.stack), read_types()
    ACTIONS[options.action](options, stack, types)


def start(options: AwsOptions, stack: Stack, types: Mapping[str, Node]) -> None:
    """Check everything, start or continue the run, and follow it to its end."""
    local = options.pipeline.data if options.source == "upload" else None
    if local is None and options.pipeline.data != PipelineOptions.data:
        print(f"--data {options.pipeline.data} is not read; the data are in {stack.data}", file=sys.stderr)
    source = options.source if "ingest" in options.pipeline.stages else None
    checks = Preflight(stack, types, partial(new_input, options, stack, types), options.songs, source, local)
    results = checks.run()
    print("\n".join(map(str, results)), flush=True)
    failed = [one.name for one in results if one.problem]
    if failed or checks.content is None:
        names = ", ".join(failed)
        raise UserError(f"{len(failed)} of {len(results)} checks failed ({names}); nothing was started")
    content, current = checks.content, checks.current
    if current and current.status == RUNNING:
        attach(options, stack, types, current, content)
        return
    content = with_digests(content, data_files(options, stack), stack.data, stack.warehouse)
    finished = finished_after(current)
    plan = stack_plan(options, stack, types)
    if not options.pipeline.force:
        content = remaining(content, finished, plan, ignore_code=options.pipeline.ignore_code)
    content = with_source(content | {"finished": finished}, options.source)
    if not any(content[phase] for phase in PHASES):
        print(f"run {options.pipeline.run} is up to date; --force runs it again")
        return
    for stage, command in commands(content).items():
        print(f"{stage:<18}{command}")
    lines = estimate(options, stack, types, plan, content)
    print(f"estimate for {options.songs:,} songs: {cost.format_range(cost.total(lines).usd, 2)} USD", flush=True)
    if options.pipeline.dry_run:
        return
    arn = execution.start(stack, content)
    print(f"started {arn}", flush=True)
    if not options.detach:
        follow(options, stack, types, arn)


def data_files(options: AwsOptions, stack: Stack) -> Listing:
    """Return the files of the data folder, after the upload if the data are local.

    With ``--dry-run``, files that would be uploaded count as changed.
    """
    if options.source != "upload":
        return list_data(stack.data, stack.region)
    folder = Path(options.pipeline.data)
    if not options.pipeline.dry_run:
        print(upload(folder, stack.data, stack.region).table(), flush=True)
        return list_data(stack.data, stack.region)
    missing = {
        key: (path.stat().st_size, "not uploaded") for key, path in missing_files(folder, stack.data, stack.region)
    }
    print(f"would upload {len(missing):,} files, {sum(size for size, _ in missing.values()):,} bytes")
    return {**list_data(stack.data, stack.region), **missing}


def new_input(options: AwsOptions, stack: Stack, types: Mapping[str, Node]) -> dict[str, Any]:
    """Return the input of the state machine, with all stages; check their options and sources."""
    plan = stack_plan(options, stack, types)
    check_stages(plan, without_songs=True)  # another check is for them
    return machine_input(options, plan, stack, types)


def attach(
    options: AwsOptions, stack: Stack, types: Mapping[str, Node], current: Execution, content: Mapping[str, Any]
) -> None:
    """Follow the execution that is running, if it is the same run."""
    now, then = commands(content), commands(current.content)
    if any(now.get(stage) != command for stage, command in then.items()):
        raise UserError(
            f"run {current.content['run']} is running with other options; wait for it ({STATUS}), or stop it: "
            "msd-spark aws cancel"
        )
    print(f"already running: {current.arn}", flush=True)
    if not (options.detach or options.pipeline.dry_run):
        follow(options, stack, types, current.arn)


def follow(options: AwsOptions, stack: Stack, types: Mapping[str, Node], arn: str) -> None:
    """Print a line whenever a stage starts or ends, and the table at the end."""
    shown: dict[str, str] = {}
    try:
        while True:
            current = execution.read_execution(stack, arn)
            for name, one in current.stages.items():
                line = f"{name}: {one.state}" + (f" (attempt {one.attempts})" if one.attempts > 1 else "")
                if one.state != "waiting" and shown.get(name) != line:
                    shown[name] = line
                    print(f"{datetime.now():%H:%M:%S} {line}", flush=True)
            if current.status != RUNNING:
                break
            time.sleep(options.poll)
    except KeyboardInterrupt:
        print(f"\nthe run continues; follow it with {STATUS}, or stop it with msd-spark aws cancel", file=sys.stderr)
        raise
    print(status_table(stack, types, current))
    check_success(current)


def check_success(current: Execution) -> None:
    """Raise a `UserError` with the reason if an execution did not succeed."""
    if current.status != SUCCEEDED:
        failed = next((name for name, one in current.stages.items() if one.state == FAILED), current.state or "start")
        reason = current.reason or current.status
        raise UserError(f"{failed} failed: {reason}; see msd-spark aws logs, then repeat the command to resume")


def status(options: AwsOptions, stack: Stack, types: Mapping[str, Node]) -> None:
    """Print the stages of the last run, the time and the cost so far."""
    print(status_table(stack, types, last(options, stack)))


def last(options: AwsOptions, stack: Stack) -> Execution:
    """Return the last execution; `UserError` if there is none."""
    current = execution.last_execution(stack, options.named_run)
    if current is None:
        name = f" {options.named_run}" if options.named_run else ""
        raise UserError(f"no run{name} was started in the stack {stack.name}; start it with msd-spark aws run")
    return current


def status_table(stack: Stack, types: Mapping[str, Node], current: Execution) -> str:
    """Return the stages with their times, and the cost so far."""
    now = current.ended or datetime.now(UTC)
    rows = [
        [name, one.state, one.attempts or "", f"{one.seconds(now) / 60:,.1f}" if one.started else ""]
        for name, one in current.stages.items()
    ]
    elapsed = (now - current.started).total_seconds() / 60
    try:
        usd = f"{cost.format_range(cost.spent(stack, types, current.active, cost.load(cost.PRICES)), 2)} USD"
    except UserError as error:
        usd = f"unknown, {error}"
    rows.append([current.name, current.status.lower(), "", f"{elapsed:,.1f}"])
    text = tabulate(rows, headers=["stage", "state", "attempts", "minutes"], tablefmt="simple", disable_numparse=True)
    reason = f"\nreason: {current.reason}" if current.reason else ""
    return f"{text}\nin state {current.state}; cost so far: {usd}{reason}"


def logs(options: AwsOptions, stack: Stack, types: Mapping[str, Node]) -> None:
    """Print the log of a stage of the last run."""
    current = last(options, stack)
    started = [name for name, one in current.stages.items() if one.started]
    failed = [name for name, one in current.stages.items() if one.state == FAILED]
    stage = options.stage or next(iter(failed), started[-1] if started else None)
    if stage is None:
        bucket = stack.buckets["logs"]
        places = f"s3://{bucket}/emr/CLUSTER/node/, s3://{bucket}/gpu/ and s3://{bucket}/ingest/copy.log"
        state = f"it is in state {current.state or 'start'}"
        raise UserError(f"no stage of {current.name} has started; {state}; see {places}")
    if stage not in started:
        raise UserError(f"stage {stage} of {current.name} has not started; started: {', '.join(started) or 'none'}")
    with aws_errors("logs"):
        for key, text in stage_logs(stack, current, stage):
            print(f"==> s3://{stack.buckets['logs']}/{key} <==\n{text}")


def stage_logs(stack: Stack, current: Execution, stage: str) -> list[tuple[str, str]]:
    """Return key and text of each log of a stage.

    EMR writes the logs of a step some minutes after it ends; a worker uploads its log every minute.
    """
    s3, bucket = client("s3", stack.region), stack.buckets["logs"]
    if any(one["stage"] == stage for one in current.content.get("gpu", [])):
        prefixes = [f"gpu/{current.name}/{stage}-"]
    else:
        emr = client("emr", stack.region)
        clusters = [
            one["Id"]
            for page in emr.get_paginator("list_clusters").paginate(CreatedAfter=current.started)
            for one in page["Clusters"]
            if one["Name"] == f"{stack.name}-run"
        ]
        prefixes = [
            f"emr/{cluster}/steps/{step['Id']}/"
            for cluster in clusters
            for page in emr.get_paginator("list_steps").paginate(ClusterId=cluster)
            for step in page["Steps"]
            if step["Name"] == stage
        ]
    texts = []
    for prefix in prefixes:
        for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            text = gzip.decompress(body) if one["Key"].endswith(".gz") else body
            texts.append((one["Key"], text.decode(errors="replace")))
    if not texts:
        place = ", ".join(f"s3://{bucket}/{prefix}" for prefix in prefixes) or f"s3://{bucket}/emr/"
        raise UserError(f"there is no log of {stage} yet in {place}; logs of EMR come some minutes after a step")
    return texts


def cancel(options: AwsOptions, stack: Stack, types: Mapping[str, Node]) -> None:
    """Stop the running execution, and remove its clusters, workers and copying instance."""
    current = last(options, stack)
    execution.cancel(stack, current, poll=options.poll)
    print(status_table(stack, types, execution.read_execution(stack, current.arn)))
    print("removed all clusters and copying instances, and scaled the workers to 0")


def estimate(
    options: AwsOptions, stack: Stack, types: Mapping[str, Node], plan: Plan, content: Mapping[str, Any]
) -> list[cost.Line]:
    """Return the lines of the estimate for a machine's input."""
    prices, rates = cost.load(cost.PRICES), cost.load(cost.RATES)
    epochs = int(plan.of_stages["train"].get("epochs", 1))
    return cost.estimate(stack, types, content, n_songs=options.songs, epochs=epochs, prices=prices, rates=rates)


def print_estimate(options: AwsOptions, stack: Stack, types: Mapping[str, Node]) -> None:
    """Print the estimated cost of a run, and what the stack costs between runs."""
    plan = stack_plan(options, stack, types)
    check_options(plan)
    lines = estimate(options, stack, types, plan, machine_input(options, plan, stack, types))
    prices, rates = cost.load(cost.PRICES), cost.load(cost.RATES)
    print(cost.table(lines))
    print(
        f"{options.songs:,} songs; rates measured {rates['measured']}, prices of {prices['date']}, {prices['region']}"
    )
    rows = [[item, cost.format_range(value, 2)] for item, value in cost.per_month(options.songs, prices).items()]
    print(tabulate(rows, headers=["between runs", "USD per month"], tablefmt="simple", disable_numparse=True))


ACTIONS = {"run": start, "status": status, "logs": logs, "cancel": cancel, "cost": print_estimate}
