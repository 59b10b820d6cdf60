"""Ingest a million generated rows of metadata from each format: time, and peak memory of driver, Java and workers.

Each ingest is a command of its own. A second one finds the rows again in another file, so that all are superseded.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks import publish
from benchmarks.driver import track_id
from msd_spark.core.song_layout import TABLES

SIZES = (100_000, 1_000_000)
FILES = ("track_metadata.db", "metadata.parquet", "metadata.csv", "summary.h5")
ROWS_AT_A_TIME = 10_000
KINDS = ("driver", "java", "worker")


def generated(n_rows: int) -> pa.Table:
    """Return rows with the columns of ``track_metadata.db`` and the tempo."""
    numbers = np.arange(n_rows)
    artists = [f"{number % 44_745:05d}" for number in range(n_rows)]
    return pa.table(
        {
            "track_id": [track_id(number) for number in range(n_rows)],
            "title": [f"Title of song {number}" for number in range(n_rows)],
            "song_id": [f"SO{number:016X}" for number in range(n_rows)],
            "release": [f"Release {number // 7}" for number in range(n_rows)],
            "artist_id": [f"AR{artist:0>16}" for artist in artists],
            "artist_name": [f"Artist {artist}" for artist in artists],
            "duration": 60 + numbers % 30_000 / 100,
            "artist_familiarity": numbers % 997 / 997,
            "year": pa.array(np.where(numbers % 2, 1960 + numbers % 50, 0), pa.int32()),
            "track_7digitalid": pa.array(numbers, pa.int32()),
            "tempo": 60 + numbers % 120_000 / 1000,
        }
    )


def write(table: pa.Table, path: Path) -> None:
    """Write rows in the format of the file's name."""
    names = table.column_names
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pa_csv.write_csv(table, path)
    elif path.suffix == ".db":
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"CREATE TABLE songs ({', '.join(names)}, PRIMARY KEY (track_id))")
            marks = ", ".join("?" * len(names))
            for batch in table.to_batches(ROWS_AT_A_TIME):
                columns = (column.to_pylist() for column in batch.columns)
                database.executemany(f"INSERT INTO songs VALUES ({marks})", zip(*columns, strict=True))
            database.commit()
    else:
        with h5py.File(path, "w") as file:
            for group in TABLES:
                dataset = file.create_dataset(
                    group.path, (table.num_rows,), group.columns, chunks=(group.chunk,), compression="gzip"
                )
                for first in range(0, table.num_rows, ROWS_AT_A_TIME):
                    part = table.slice(first, ROWS_AT_A_TIME)
                    rows = np.zeros(part.num_rows, group.columns)
                    for name in set(names) & set(group.columns.names or ()):
                        rows[name] = part[name].to_pylist()
                    dataset[first : first + part.num_rows] = rows


def measure(*words: str) -> tuple[float, dict[str, float]]:
    """Run a command; return its seconds, and the GiB of each kind of process."""
    started, peaks = time.perf_counter(), dict.fromkeys(KINDS, 0.0)
    command = str(Path(sys.executable).with_name("msd-spark"))
    process = psutil.Popen([command, *words], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(0.1)
        for one in (process, *process.children(recursive=True)):
            try:
                kind = "driver" if one.pid == process.pid else "java" if "java" in one.name() else "worker"
                peaks[kind] = max(peaks[kind], one.memory_info().rss / 2**30)
            except psutil.Error:
                continue
    if process.returncode:
        raise SystemExit(f"msd-spark {' '.join(words)} failed")
    return time.perf_counter() - started, peaks


def main() -> None:
    """Measure and publish."""
    rows, metrics = [], {}
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder, table = Path(name), generated(size)
            for file in FILES:
                write(table, folder / file)
                warehouse = str(folder / f"warehouse-{file}")
                seconds, peaks = measure("ingest", "--songs", str(folder / file), "--warehouse", warehouse)
                rows.append((f"{size:,}, {file}", seconds, *peaks.values()))
                metrics[f"seconds_{file.rpartition('.')[2]}_{size // 1000}k"] = seconds
            both = [str(folder / file) for file in FILES[:2]]
            seconds, peaks = measure("ingest", "--songs", *both, "--warehouse", warehouse, "--replace")
            rows.append((f"{size:,}, {' and '.join(FILES[:2])}", seconds, *peaks.values()))
            metrics |= {f"seconds_twice_{size // 1000}k": seconds, f"driver_gib_{size // 1000}k": peaks["driver"]}
    publish("metadata", ["rows", "s", *(f"{kind}, GiB" for kind in KINDS)], rows, metrics)


if __name__ == "__main__":
    main()
