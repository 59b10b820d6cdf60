"""The tables that an ingest wrote, for comparing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COUNTS = ("inputs", "songs", "rejected", "duplicates")


def songs(uri: Path) -> pa.Table:
    """Return ``songs/`` by track id; lists of floats compare equal where NaN meets NaN."""
    return pq.read_table(uri / "songs").sort_by("track_id")


def rejected(uri: Path) -> list[dict[str, Any]]:
    """Return what ingest rejected, without the units' names."""
    table = pq.read_table(uri / "rejected" / "stage=ingest", partitioning=None)
    rows = table.drop_columns(["unit"]).to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["member"] or "", row["reason"]))


def ledger(uri: Path) -> list[dict[str, Any]]:
    return sorted(pq.read_table(uri / "ledger").to_pylist(), key=lambda row: str(row["source"]))


def sums(uri: Path) -> tuple[int, ...]:
    """Return the ledger's inputs less skipped, songs, rejected and duplicates; each unit's have to add up."""
    rows = ledger(uri)
    assert all(row["inputs"] == row["songs"] + row["rejected"] + row["duplicates"] + row["skipped"] for row in rows)
    assert sum(row["songs"] for row in rows) == len(songs(uri))
    assert sum(row["rejected"] + row["duplicates"] for row in rows) == len(rejected(uri))
    n_inputs, *others = (sum(row[name] for row in rows) for name in COUNTS)
    return (n_inputs - sum(row["skipped"] for row in rows), *others)


def assert_same_songs(one: Path, other: Path, *except_for: str) -> None:
    """Compare all columns, and that no track is there twice."""
    first, second = (songs(uri).drop_columns(list(except_for)) for uri in (one, other))
    tracks = first["track_id"].to_pylist()
    assert len(set(tracks)) == len(tracks)
    assert tracks == second["track_id"].to_pylist()
    for name in first.column_names:
        # No NaN equals another one; spelt out they do.
        if not first[name].equals(second[name]):
            assert repr(first[name].to_pylist()) == repr(second[name].to_pylist()), name


def files(uri: Path) -> dict[str, int]:
    """Return when each file of ``songs/`` was written."""
    return {path.name: path.stat().st_mtime_ns for path in (uri / "songs").iterdir() if path.suffix == ".parquet"}
