"""Read every table of warehouses again and again: ``python -m tests.cluster.reader OUTPUT URI…``, until its input ends.

Writes to a JSON file how many rows each table had, and every error. It reads as any program does: through
`Warehouse.read_table`, the values of a column included, so that a version with missing files is an error.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msd_spark.core.warehouse import Warehouse
from tests.conftest import REPOSITORY

TABLES = (
    ("songs",),
    ("ledger",),
    ("rejected", "stage=ingest"),
    ("lyrics",),
    ("labels",),
    ("tags",),
    ("plays",),
    ("popularity",),
    ("factors",),
    ("recommendations",),
    ("dataset", "genre"),
    ("embeddings", "demo"),
    ("neighbours", "demo"),
    ("maps", "demo"),
)


@dataclass
class Seen:
    """Numbers of rows that each table had, by its address, and errors; `n_reads` counts reads without an error."""

    rows: dict[str, list[int]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    n_reads: int = 0


@contextmanager
def reading(output: Path, environment: Mapping[str, str], *uris: str) -> Iterator[Seen]:
    """Read in another process during the block; what it saw is filled in at the end."""
    seen = Seen()
    command = [sys.executable, "-m", "tests.cluster.reader", str(output), *uris]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=REPOSITORY, env=dict(environment))
    try:
        yield seen
    finally:
        assert process.stdin
        process.stdin.close()
        assert process.wait(120) == 0
        seen.__dict__.update(json.loads(output.read_text()))


def main(output: str, *uris: str) -> None:
    ended, n_reads = threading.Event(), 0
    rows, errors = defaultdict[str, set[int]](set), list[str]()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    while not ended.is_set():
        for uri in uris:
            warehouse = Warehouse(uri)
            for table in TABLES:
                try:
                    if warehouse.is_complete(*table):
                        first = warehouse.snapshot(*table).schema.names[0]
                        rows[warehouse.address(*table)].add(warehouse.read_table([first], *table).num_rows)
                        n_reads += 1
                except Exception:
                    errors.append(traceback.format_exc())
    seen = {"rows": {name: sorted(counts) for name, counts in rows.items()}, "errors": errors, "n_reads": n_reads}
    Path(output).write_text(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
