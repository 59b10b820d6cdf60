"""Run stages as commands, and skip what is up to date."""

from __future__ import annotations

import ctypes
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from msd_spark.core.errors import UserError
from msd_spark.core.runs import RUNS
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.catalogue import NOTHING_TO_READ, STAGES, PipelineSettings, Stage, commands
from msd_spark.pipeline.fingerprints import (
    Record,
    fingerprint,
    out_of_sight,
    outputs,
    read_record,
    record_name,
    why_stale,
    write_record,
)

CHECKPOINT = ("_unfinished", "checkpoints", "last.npz")
"""Within a run's folder: what a training that was stopped goes on from."""

WOULD_RUN = "would run"
BY_NAME = {stage.name: stage for stage in STAGES}

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True)
class Ran:
    """What became of a stage (``ran``, ``up to date``, ``skipped`` or ``would run``), why, and its seconds."""

    stage: str
    outcome: str
    why: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Choice:
    """Which stages run, and when one counts as up to date.

    Attributes
    ----------
    stages : tuple of str
    force : bool
        Run what is up to date, too.
    ignore_code : bool
        Let no stage run only since its code is another one.
    dry_run : bool
        Say what would run now, and run nothing.
    """

    stages: tuple[str, ...]
    force: bool = False
    ignore_code: bool = False
    dry_run: bool = False


def run_stages(settings: PipelineSettings, choice: Choice, go_on: Sequence[str] = ()) -> list[Ran]:
    """Run the chosen stages, in order.

    Parameters
    ----------
    settings : PipelineSettings
    choice : Choice
    go_on : sequence of str
        The command that goes on after a failure, less ``--from STAGE``.

    Raises
    ------
    UserError
        When a stage fails, with the command that goes on from there.
    """
    warehouse = Warehouse(settings.warehouse)
    made = commands(settings)
    ran: list[Ran] = []
    chosen = [stage for stage in STAGES if stage.name in choice.stages]
    for number, stage in enumerate(chosen, 1):
        shown = f"[{number}/{len(chosen)}] {stage.name}"
        would_write = {place for one in ran if one.outcome == WOULD_RUN for place in BY_NAME[one.stage].writes}
        missing = [name for name in stage.needs if name not in would_write and not warehouse.is_complete(name)]
        if not made[stage.name]:
            ran.append(Ran(stage.name, "skipped", NOTHING_TO_READ[stage.name]))
        elif missing:
            ran.append(Ran(stage.name, "skipped", f"there is no {missing[0]}/"))
        else:
            why = None if choice.force else _why(stage, made[stage.name], settings, warehouse, choice)
            if why is None and not choice.force:
                ran.append(Ran(stage.name, "up to date", ""))
            else:
                command = _resumed(stage, made[stage.name], settings, warehouse, choice)
                if choice.dry_run:
                    print(f"\n{shown}: would run, {why or 'asked for'}\n$ {shlex.join(command)}", flush=True)
                    ran.append(Ran(stage.name, WOULD_RUN, why or "asked for"))
                    continue
                said = f"\n{shown}: {why or 'asked for'}\n$ {shlex.join(command)}"
                ran.append(
                    Ran(stage.name, "ran", why or "asked for", _run(stage, command, settings, warehouse, said, go_on))
                )
                continue
        print(f"\n{shown}: {ran[-1].outcome}" + (f", {ran[-1].why}" if ran[-1].why else ""), flush=True)
    return ran


def _why(
    stage: Stage, command: list[str], settings: PipelineSettings, warehouse: Warehouse, choice: Choice
) -> str | None:
    unseen = out_of_sight(command, settings)
    if unseen:
        return f"{unseen} may have changed"
    now = fingerprint(stage, command, settings, warehouse)
    record = read_record(warehouse, record_name(stage, settings))
    left = outputs(warehouse, settings.places(stage.writes))
    return why_stale(now, record, left, ignore_code=choice.ignore_code)


def _resumed(
    stage: Stage, command: list[str], settings: PipelineSettings, warehouse: Warehouse, choice: Choice
) -> list[str]:
    """Return the command that goes on with a training of the same settings that was stopped."""
    if stage.name != "train" or choice.force or not warehouse.exists(RUNS, settings.run, *CHECKPOINT):
        return command
    record = read_record(warehouse, record_name(stage, settings))
    if record is None or record.finished or record.fingerprint != fingerprint(stage, command, settings, warehouse):
        return command
    return ["--resume" if word == "--overwrite" else word for word in command]


def _run(
    stage: Stage,
    command: list[str],
    settings: PipelineSettings,
    warehouse: Warehouse,
    said: str,
    go_on: Sequence[str],
) -> float:
    """Say what runs, run it and keep its record; return its seconds."""
    name = record_name(stage, settings)
    typed = commands(settings)[stage.name]
    # What it starts from is what counts: an input that changes meanwhile makes it stale.
    record = Record(fingerprint(stage, typed, settings, warehouse))
    write_record(warehouse, name, record)
    print(said, flush=True)
    started = time.monotonic()
    outcome = subprocess.run(command, preexec_fn=_die_with_parent)
    seconds = time.monotonic() - started
    if outcome.returncode:
        status = outcome.returncode
        how = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
        words = shlex.join([*go_on, "--from", stage.name])
        raise UserError(f"{stage.name} failed with {how}, see above. Go on with: {words}")
    left = outputs(warehouse, settings.places(stage.writes))
    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_record(warehouse, name, replace(record, finished=finished, seconds=round(seconds, 1), outputs=left))
    return seconds


def _die_with_parent() -> None:
    """Let a stage end when the pipeline is killed: the next one must not meet it at work."""
    ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
