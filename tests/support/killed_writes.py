"""Kill a process at many lines within a write of the warehouse, and print as JSON what readers find afterwards.

A fresh process forks one child per kill, before the threads of Delta and Arrow start. The lines are those of
`msd_spark.core`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

import msd_spark.core
from msd_spark.core.warehouse import FOLDER, Warehouse

SCHEMA = pa.schema([pa.field("number", pa.int64(), nullable=False)])
CORE = str(Path(msd_spark.core.__path__[0]))


def numbers(*values: int) -> pa.Table:
    return pa.table({"number": pa.array(values, pa.int64())}, schema=SCHEMA)


def rows(warehouse: Warehouse) -> list[int]:
    return sorted(warehouse.read_table(["number"], "songs")["number"].to_pylist())


def overwrite(warehouse: Warehouse, value: int) -> None:
    with warehouse.overwriting(SCHEMA, "songs") as writer:
        writer.write(numbers(value))
        writer.write(numbers(value))


def append(warehouse: Warehouse, value: int) -> None:
    base = warehouse.table("songs").snapshot()
    with warehouse.table("songs").overwriting(SCHEMA, base=base) as writer:
        writer.kept = list(base.files) if base else []
        writer.write(numbers(value))


def write_side_file(warehouse: Warehouse, value: int) -> None:
    with warehouse.overwriting(SCHEMA, "songs") as writer:
        writer.write_json({"value": value}, "_search.json")
        writer.write(numbers(value))


def read_side_file(warehouse: Warehouse) -> list[int]:
    return [*rows(warehouse), warehouse.read_json("songs", "_search.json")["value"]]


def write_folder(warehouse: Warehouse, value: int) -> None:
    with warehouse.replacing_folder("models", "run") as folder:
        warehouse.write_json(value, *folder.names, "a.json")
        warehouse.write_json(value, *folder.names, "b.json")
        folder.point_by_json("metadata.json", {"value": value})


def read_folder(warehouse: Warehouse) -> list[int]:
    pointer = warehouse.read_json("models", "run", "metadata.json")
    files = [warehouse.read_json("models", "run", pointer[FOLDER], name) for name in ("a.json", "b.json")]
    return [pointer["value"], *files]


def write_file(warehouse: Warehouse, value: int) -> None:
    warehouse.write_json(value, "pipeline", "score.json")


def read_file(warehouse: Warehouse) -> list[int]:
    return [warehouse.read_json("pipeline", "score.json")]


LINES = {"folder": 1, "file": 1}
"""Lines between two kills; 3 for tables, whose commit is a single call."""

KINDS: dict[str, tuple[Callable[[Warehouse, int], None], Callable[[Warehouse], list[int]]]] = {
    "overwrite": (overwrite, rows),
    "append": (append, rows),
    "side file": (write_side_file, read_side_file),
    "folder": (write_folder, read_folder),
    "file": (write_file, read_file),
}
"""How a value is written, and how a reader sees it."""


def forked(work: Callable[[], None]) -> int:
    """Return the wait status of a child that does the work."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def write_until(warehouse: Warehouse, kind: str, last: int) -> None:
    """Write the value 2 and kill this process before it executes the line with the number `last`."""
    n_lines = 0

    def trace(frame: Any, event: str, _argument: object) -> Any:
        nonlocal n_lines
        if not frame.f_code.co_filename.startswith(CORE):
            return None
        n_lines += event == "line"
        if n_lines == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    KINDS[kind][0](warehouse, 2)
    sys.settrace(None)


def killed(folder: Path, kind: str) -> list[Path]:
    """Return copies of a warehouse with the value 1, each after a kill at a later line; the last write finishes."""
    base = folder / "base"
    if forked(lambda: KINDS[kind][0](Warehouse(str(base)), 1)):
        raise RuntimeError(f"the first write of {kind} failed")
    copies: list[Path] = []
    while True:
        copy = folder / f"{len(copies):04d}"
        shutil.copytree(base, copy)
        copies.append(copy)
        status = forked(partial(write_until, Warehouse(str(copy)), kind, len(copies) * LINES.get(kind, 3)))
        if status == 0:
            return copies
        if not os.WIFSIGNALED(status):
            raise RuntimeError(f"the write of {kind} failed")


def seen(copy: Path, kind: str) -> list[int] | str:
    try:
        return KINDS[kind][1](Warehouse(str(copy)))
    except Exception as error:
        return repr(error)


def files_after_next(copy: Path, kind: str) -> int:
    """Write the value 3, and return the number of files besides Delta's log."""
    KINDS[kind][0](Warehouse(str(copy)), 3)
    return sum(path.is_file() and "_delta_log" not in path.parts for path in copy.rglob("*"))


def main() -> None:
    folder = Path(sys.argv[1])
    copies = {kind: killed(folder / kind, kind) for kind in KINDS}
    outcomes: dict[str, Any] = {}
    for kind, paths in copies.items():
        values = [seen(path, kind) for path in paths]
        outcomes[kind] = {"seen": values, "files": [files_after_next(path, kind) for path in paths]}
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
