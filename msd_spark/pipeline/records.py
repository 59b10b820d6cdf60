"""Records of finished stages, and whether a stage is up to date."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from msd_spark.core.command_line import words_of
from msd_spark.core.errors import DamagedError
from msd_spark.core.filesystems import local_path
from msd_spark.core.warehouse import Warehouse
from msd_spark.pipeline.settings import Plan
from msd_spark.pipeline.stages import Stage

FOLDER = "pipeline"
"""Folder of the records in the warehouse."""

CODE = Path(__file__).resolve().parents[2]
PACKAGES = ("msd_spark", "training")


@dataclass(frozen=True)
class Record:
    """A stage as the pipeline last ran it; inputs, code and outputs have digests."""

    command: list[str]
    inputs: dict[str, str]
    """By source, file or folder that an option names, and table that the stage reads."""

    code: str
    finished: str | None = None
    """UTC time; None if the stage has not finished."""

    seconds: float = 0.0
    outputs: dict[str, str] = field(default_factory=dict)
    """By place in the warehouse."""

    def has_inputs_of(self, other: Record) -> bool:
        """Return whether two records have the same command, inputs and code."""
        return (self.command, self.inputs, self.code) == (other.command, other.inputs, other.code)


def current_record(stage: Stage, command: list[str], plan: Plan, warehouse: Warehouse) -> Record:
    """Return the record of a stage if it started now."""
    folders = [Path(plan.options.data, name) for name in stage.sources]
    own_words = words_of(plan.of_stages.get(stage.name, {}), stage.verb.settings_class())
    # Of the other words, such as those of spark-submit, folders can be temporary and the warehouse is no input.
    files = [path for path in map(_path_in, command) if path.is_file()]
    paths = {*folders, *files, *(_path_in(word) for word in own_words if word)}
    inputs = {str(path): digest_of_path(path) for path in sorted(paths) if path.exists()}
    inputs |= digests(warehouse, plan.places(stage.reads))
    return Record(command, inputs, code_digest())


def _path_in(word: str) -> Path:
    """Return the path in ``FILE`` or ``NAME=FILE``."""
    location = word.partition("=")[2] or word
    return Path(local_path(location)) if location.lower().startswith("file:/") else Path(location)


def digests(warehouse: Warehouse, places: Iterable[str]) -> dict[str, str]:
    """Return a digest of file names, sizes and modification times per place of the warehouse."""
    result = {}
    for place in places:
        root = warehouse.path(*place.split("/"))
        # An unfinished training keeps its checkpoints in the run's folder.
        files = (info for info in warehouse.list_files(root) if "/_unfinished/" not in info.path)
        result[place] = _digest((info.path.removeprefix(root), info.size, info.mtime_ns or 0) for info in files)
    return result


def digest_of_path(path: Path) -> str:
    """Return a digest of sizes and modification times of a file, or of all files below a folder."""
    if path.is_file():
        status = path.stat()
        return _digest([("", status.st_size, status.st_mtime_ns)])
    return _digest(sorted(_files_below(str(path), "")))


@cache
def code_digest() -> str:
    """Return a digest of the text of all product code."""
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (CODE / package).rglob("*") if path.is_file()):
        if path.suffix != ".pyc":
            digest.update(f"{path.relative_to(CODE)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def why_stale(now: Record, last: Record | None, outputs: dict[str, str], *, ignore_code: bool) -> str | None:
    """Return why a stage must run, given its current and last record; None if it is up to date.

    `outputs` are the current digests of its places.
    """
    if last is None:
        return "first run"
    if last.command != now.command:
        return "options have changed"
    names = sorted({*last.inputs, *now.inputs})
    changed = [name for name in names if last.inputs.get(name) != now.inputs.get(name)]
    if changed:
        return f"{changed[0]} has changed"
    if not ignore_code and last.code != now.code:
        return "the code has changed"
    if last.finished is None:
        return "the last run did not finish"
    modified = [place for place in outputs if last.outputs.get(place) != outputs[place]]
    return f"{modified[0]} has changed since" if modified else None


def record_name(stage: Stage, plan: Plan) -> str:
    """Return the file name of a stage's record; each dataset and run has its own."""
    owner = plan.options.run if stage.of_run else plan.dataset if stage.name == "dataset" else None
    return f"{stage.name}-{owner}.json" if owner else f"{stage.name}.json"


def read_record(warehouse: Warehouse, name: str) -> Record | None:
    """Return a record; None if it is missing, damaged or of another version."""
    if not warehouse.exists(FOLDER, name):
        return None
    try:
        return Record(**warehouse.read_json(FOLDER, name))
    except (TypeError, DamagedError):
        return None


def write_record(warehouse: Warehouse, name: str, record: Record) -> None:
    """Write a record."""
    warehouse.write_json(asdict(record), FOLDER, name)


def _files_below(folder: str, prefix: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files_below(entry.path, f"{prefix}/{entry.name}")
            elif entry.is_file():
                status = entry.stat()
                yield f"{prefix}/{entry.name}", status.st_size, status.st_mtime_ns


def _digest(files: Iterable[tuple[str, int, int]]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(json.dumps(file).encode() + b"\n")
    return digest.hexdigest()[:32]
