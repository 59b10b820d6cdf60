"""Whether a stage is up to date: what it ran as, on what, by which code, and what it left."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from msd_spark.core.filesystems import SCHEME_MARK
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.catalogue import REPOSITORY, PipelineSettings, Stage, script_path
from msd_spark.pipeline.code_digest import code_digest

FOLDER = "pipeline"
"""Folder of the records in the warehouse."""


@dataclass(frozen=True)
class Fingerprint:
    """What decides what a stage makes.

    Attributes
    ----------
    command : list of str
        As it is typed; the script by its path within the repository.
    inputs : dict of str to str
        Digest of each file or folder that the command names and each table that the stage reads: paths, sizes and
        times of change.
    code : str
        Digest of the modules.
    """

    command: list[str]
    inputs: dict[str, str]
    code: str


@dataclass(frozen=True)
class Record:
    """A stage as the pipeline last ran it.

    Attributes
    ----------
    fingerprint : Fingerprint
    finished : str or None
        When, in UTC; None for one that was begun and has not come to its end.
    seconds : float
    outputs : dict of str to str
        Digest of each place that it wrote.
    """

    fingerprint: Fingerprint
    finished: str | None = None
    seconds: float = 0.0
    outputs: dict[str, str] = field(default_factory=dict)


def fingerprint(stage: Stage, command: Sequence[str], settings: PipelineSettings, warehouse: Warehouse) -> Fingerprint:
    """Return what a stage would run as now."""
    named = [stage.script if word == script_path(stage) else word for word in command]
    inputs = {word: digest_of_path(Path(word)) for word in named if _is_input(word, settings, stage)}
    inputs |= outputs(warehouse, settings.places(stage.reads))
    return Fingerprint(named, inputs, code_digest(REPOSITORY, stage.script, stage.assets))


def _is_input(word: str, settings: PipelineSettings, stage: Stage) -> bool:
    if word in (settings.warehouse, stage.script) or SCHEME_MARK in word:
        return False
    path = word.partition("=")[2] or word  # NAME=FILE
    return ("/" in path or "." in path) and os.path.exists(path)


def out_of_sight(command: Sequence[str], settings: PipelineSettings) -> str | None:
    """Return a location in a command whose state is not known here: an address, or a pattern of names."""
    for word in command:
        if word != settings.warehouse and (SCHEME_MARK in word or set("*?[") & set(word)):
            return word
    return None


def outputs(warehouse: Warehouse, places: Iterable[str]) -> dict[str, str]:
    """Return a digest of each place of the warehouse, of names, sizes and times of change."""
    made = {}
    for place in places:
        root = warehouse.path(*place.split("/"))
        # A run under way keeps its checkpoints within its folder.
        files = (info for info in warehouse.list_files(root) if "/_unfinished/" not in info.path)
        made[place] = _digest((info.path.removeprefix(root), info.size, info.mtime_ns or 0) for info in files)
    return made


def digest_of_path(path: Path) -> str:
    """Return a digest of a file, or of all files below a folder."""
    path = Path(str(path).partition("=")[2] or path) if not path.exists() else path
    if path.is_file():
        found = path.stat()
        return _digest([("", found.st_size, found.st_mtime_ns)])
    return _digest(sorted(_below(str(path), "")))


def _below(folder: str, prefix: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _below(entry.path, f"{prefix}/{entry.name}")
            elif entry.is_file():
                found = entry.stat()
                yield f"{prefix}/{entry.name}", found.st_size, found.st_mtime_ns


def _digest(files: Iterable[tuple[str, int, int]]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(json.dumps(file).encode() + b"\n")
    return digest.hexdigest()[:32]


def why_stale(now: Fingerprint, record: Record | None, left: dict[str, str], *, ignore_code: bool) -> str | None:
    """Return why a stage must run; None where it is up to date.

    Parameters
    ----------
    now : Fingerprint
    record : Record or None
    left : dict
        Digests of the stage's places, as they are.
    ignore_code : bool
        Whether a stage counts as up to date whatever its code has become.
    """
    if record is None:
        return "not run by the pipeline yet"
    before = record.fingerprint
    if before.command != now.command:
        return "the command is another one"
    changed = [
        name for name in sorted({*before.inputs, *now.inputs}) if before.inputs.get(name) != now.inputs.get(name)
    ]
    if changed:
        return f"{changed[0]} has changed"
    if not ignore_code and before.code != now.code:
        return "the code has changed"
    if record.finished is None:
        return "it did not come to its end"
    lost = [place for place in left if record.outputs.get(place) != left[place]]
    return f"{lost[0]} is not as it was left" if lost else None


def record_name(stage: Stage, settings: PipelineSettings) -> str:
    """Return the name of a stage's record: a dataset and a run have their own."""
    of = settings.run if stage.of_run else settings.dataset if stage.name == "dataset" else None
    return f"{stage.name}-{of}.json" if of else f"{stage.name}.json"


def read_record(warehouse: Warehouse, name: str) -> Record | None:
    """Return a record; None where there is none that this version can read."""
    if not warehouse.exists(FOLDER, name):
        return None
    content: dict[str, Any] = warehouse.read_json(FOLDER, name)
    try:
        return Record(**{**content, "fingerprint": Fingerprint(**content["fingerprint"])})
    except (TypeError, KeyError):
        return None


def write_record(warehouse: Warehouse, name: str, record: Record) -> None:
    """Keep a record."""
    warehouse.write_json(asdict(record), FOLDER, name)
